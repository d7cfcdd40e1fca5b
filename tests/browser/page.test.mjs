// The page as somebody uses it: rules, text, errors, saving, insight, portraits; with numbers counted by hand.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { open, PEOPLE, startBrowser, startServer, total } from './world.mjs';

let server;
let browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const counted = (predicate) => PEOPLE.filter(predicate).length;
const editor = (page) => page.getByRole('textbox', { name: 'the question as text' });

/** Waits until the text says this, however it is broken into lines. */
async function reads(page, text) {
  await page.waitForFunction((wanted) => document.querySelector('.editor textarea').value.replace(/\s+/g, ' ') === wanted, text);
}

/** Waits until a field has the focus, as it does for whoever has just added a rule. */
async function focused(field) {
  await field.and(field.page().locator(':focus')).waitFor();
}

/** Opens a list with a search field and takes what is called so. */
async function pick(page, button, name) {
  await button.click();
  await page.locator('.choices input:focus').waitFor();
  await page.keyboard.type(name);
  await page.locator('.choices .choice[aria-selected=true]').filter({ hasText: name }).waitFor();
  await page.keyboard.press('Enter');
}

async function ask(page, text) {
  await editor(page).fill(text);
}

test('a rule is built with the keyboard, and every rule shows how many it holds', async () => {
  const page = await open(browser, server.url);
  await total(page, 40);
  await pick(page, page.getByRole('button', { name: 'Add the first rule' }), 'city');
  await focused(page.getByRole('combobox', { name: 'value of city' }));
  await page.keyboard.type('os');
  const option = page.getByRole('option', { name: /Oslo/ });
  assert.match(await option.innerText(), /10/);
  await page.keyboard.press('Enter');
  await total(page, counted(({ city }) => city === 'Oslo'));
  await page.keyboard.press('Escape');

  await pick(page, page.getByRole('button', { name: 'rule', exact: true }), 'age');
  await focused(page.getByRole('spinbutton', { name: 'value of age' }));
  await page.keyboard.type('40');
  const both = counted(({ city, age }) => city === 'Oslo' && age >= 40);
  await total(page, both);
  const tallies = await page.locator('.tally[data-count]').evaluateAll((all) => all.map((one) => Number(one.dataset.count)));
  assert.deepEqual(tallies, [10, counted(({ age }) => age !== null && age >= 40)]);

  await page.locator('.rule').nth(1).getByRole('button', { name: 'not', exact: true }).click();
  const without = counted(({ city, age }) => city === 'Oslo' && !(age !== null && age >= 40));
  await total(page, without);
  assert.equal(both + without, 10);
  await reads(page, "city IN ('Oslo') AND NOT age >= 40");

  await page.getByRole('button', { name: 'and; press for or' }).click();
  await total(page, counted(({ city, age }) => city === 'Oslo' || !(age !== null && age >= 40)));
  await page.getByRole('button', { name: 'Undo' }).click();
  await total(page, without);
  await page.locator('.rule').nth(0).getByRole('button', { name: 'more for this rule' }).click();
  await page.getByRole('menuitem', { name: 'Switch off' }).click();
  await total(page, counted(({ age }) => !(age !== null && age >= 40)));
  await page.waitForURL((url) => decodeURIComponent(url.hash).includes('"disabled":true'));
  const link = page.url();
  const again = await open(browser, link);
  await total(again, counted(({ age }) => !(age !== null && age >= 40)));
  await again.locator('.rule.is-disabled').waitFor();
  assert.deepEqual([...page.problems, ...again.problems], []);
});

test('text becomes rules, and an error is marked at its place with a hint that mends it', async () => {
  const page = await open(browser, server.url);
  await total(page, 40);
  await ask(page, "tier = 'V2' AND citty = 'Rome'");
  await page.locator('.text-error .caret b').waitFor();
  const caret = (await page.locator('.text-error .caret').innerText()).split('\n');
  assert.equal(caret[1].indexOf('^'), caret[0].indexOf('citty'));
  assert.equal(caret[1].trim().length, 'citty'.length);
  await page.getByRole('button', { name: 'did you mean `city`?' }).click();
  await total(page, counted(({ city, tier }) => tier === 'V2' && city === 'Rome'));
  assert.equal(await page.locator('.question .rule').count(), 2);
  assert.deepEqual(page.problems, []);
});

/** One of everything that the language has, and how many of the forty it is, where that is quickly counted. */
const LANGUAGE = [
  ["city IN ('Oslo', 'Rome') AND age BETWEEN 25 AND 39", ({ city, age }) => ['Oslo', 'Rome'].includes(city) && age >= 25 && age <= 39],
  ["city <> 'Oslo'", ({ city }) => city !== null && city !== 'Oslo'],
  ["NOT city = 'Oslo'", ({ city }) => city !== 'Oslo'],
  ['phone IS NULL', ({ phone }) => phone === null],
  ["member IN ('m1', 'm2', 'm99')", ({ id }) => ['m1', 'm2'].includes(id)],
  ['vip AND NOT vip = false', ({ vip }) => vip],
  ["has_all(interests, 'tea', 'yoga')", ({ interests }) => interests.includes('tea') && interests.includes('yoga')],
  ["has_none(interests, 'tea', 'golf')", ({ interests }) => !interests.includes('tea') && !interests.includes('golf')],
  ["city LIKE 'R%' OR city ILIKE '%ER%'", ({ city }) => city === 'Rome' || city === 'Bern'],
  ["month_day(birthday) BETWEEN '12-29' AND '01-04'", ({ birthday }) => birthday.endsWith('12-30')],
  ["signup >= CURRENT_DATE - INTERVAL '2' MONTH"],
  ["signup < DATE '2026-03-01'", ({ signup }) => signup < '2026-03-01'],
  ["EXISTS (SELECT 1 FROM purchase WHERE category = 'dairy')", ({ purchases }) => purchases.some(({ category }) => category === 'dairy')],
  ['NOT EXISTS (SELECT 1 FROM purchase)', ({ purchases }) => !purchases.length],
  ["(SELECT count(*) FROM purchase WHERE day BETWEEN DATE '2026-10-01' AND DATE '2026-10-15') >= 2", ({ purchases }) => purchases.length >= 2],
  ['(SELECT sum(amount) FROM purchase) > 25', ({ purchases }) => purchases.reduce((sum, { amount }) => sum + amount, 0) > 25],
  ['(SELECT count(DISTINCT store) FROM purchase) = 2', ({ purchases }) => purchases.length === 2],
  ["(SELECT max(day) FROM purchase) < DATE '2026-10-05'", ({ purchases }) => purchases.length === 1],
  ["(SELECT first(category) FROM purchase) = 'bakery'", ({ purchases }) => purchases.length > 0],
  ["followed_by((SELECT 1 FROM purchase WHERE category = 'bakery'), (SELECT 1 FROM purchase WHERE category = 'dairy'), INTERVAL '14' DAY)", ({ purchases }) => purchases.length >= 2],
  ['one_id IN (SELECT one_id FROM profiles WHERE vip ORDER BY spend DESC LIMIT 7)', ({ vip, spend }) => vip && spend >= 26 * 10.5],
  ['spend >= (SELECT quantile(spend, 0.5) FROM profiles)', ({ spend }) => spend >= 19 * 10.5],
  ['spend > (SELECT avg(spend) FROM profiles)', ({ spend }) => spend > 19.5 * 10.5],
  ["bucket('summer sale', 100) < 45"],
  ["in_audience('romans') AND tier = 'V1'", ({ city, tier }) => city === 'Rome' && tier === 'V1'],
  ["was('at first', city = 'Oslo')", ({ city }) => city === 'Oslo'],
  ["in_snapshot('romans', CURRENT_DATE)", ({ city }) => city === 'Rome'],
  ["one_id IN (0, 5, 7)", ({ id }) => ['m0', 'm5', 'm7'].includes(id)],
  ['TRUE', () => true],
  ['FALSE OR vip', ({ vip }) => vip],
];

test('whatever the language can say, the rules can say', async () => {
  await server.ask('audiences/romans', { where: "city = 'Rome'" }, 'PUT');
  await server.ask('audiences/romans/freeze', {});
  await server.ask('snapshots', { name: 'at first' });
  const page = await open(browser, server.url);
  await total(page, 40);
  for (const [text, predicate] of LANGUAGE) {
    const { count } = await server.ask('count', { where: text });
    if (predicate) assert.equal(count, counted(predicate), text);
    const other = count === 0 ? "tier = 'V1'" : 'FALSE';
    await ask(page, other);
    await total(page, (await server.ask('count', { where: other })).count);
    await ask(page, text);
    // The page counts its rules, never the text.
    await total(page, count);
    assert.equal(await page.locator('.question .is-waiting, .question .has-error').count(), 0, text);
  }
  assert.deepEqual(page.problems, []);
});

test('what people did is asked with rules', async () => {
  const page = await open(browser, server.url);
  await total(page, 40);
  await pick(page, page.getByRole('button', { name: 'Add the first rule' }), 'purchase');
  await total(page, counted(({ purchases }) => purchases.length));
  await page.getByRole('combobox', { name: 'how purchase is asked' }).selectOption('sum');
  await page.getByRole('combobox', { name: 'compared how' }).selectOption('>=');
  await page.getByRole('spinbutton', { name: 'value of amount' }).fill('50');
  await total(page, counted(({ purchases }) => purchases.reduce((sum, { amount }) => sum + amount, 0) >= 50));
  await page.getByRole('button', { name: 'where…' }).first().click();
  const where = page.getByRole('group', { name: 'where' });
  await pick(page, where.getByRole('button', { name: 'rule', exact: true }), 'category');
  await focused(page.getByRole('combobox', { name: 'value of category' }));
  await page.keyboard.type('dairy');
  await page.getByRole('option', { name: /dairy/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await total(page, counted(({ purchases }) => purchases.filter(({ category }) => category === 'dairy').reduce((sum, { amount }) => sum + amount, 0) >= 50));
  await reads(page, "(SELECT sum(amount) FROM purchase WHERE category IN ('dairy')) >= 50");
  assert.deepEqual(page.problems, []);
});

test('an audience is saved, opened, used, kept in versions, and not deleted while it is used', async () => {
  const page = await open(browser, server.url);
  await total(page, 40);
  await ask(page, "city = 'Bern' AND vip");
  const size = counted(({ city, vip }) => city === 'Bern' && vip);
  await total(page, size);
  const save = async (name, description) => {
    await page.getByRole('button', { name: 'Save…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByLabel('Description').fill(description);
    await dialog.getByRole('button', { name: 'Save', exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
  };
  await save('Bern VIP', 'the best of Bern');
  const line = page.getByRole('navigation', { name: 'saved audiences' }).getByRole('listitem').filter({ hasText: 'bern_vip' });
  await line.filter({ hasText: String(size) }).waitFor();
  assert.equal((await server.ask('audiences/bern_vip')).count, size);

  await page.getByRole('button', { name: 'Clear' }).click();
  await total(page, 40);
  await line.getByRole('button', { name: 'add bern_vip as a rule' }).click();
  await total(page, size);
  await save('users', 'built on another');
  await line.getByRole('button', { name: 'about bern_vip' }).click();
  page.on('dialog', (dialog) => dialog.accept());
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('alert').filter({ hasText: 'users' }).waitFor();
  await page.getByRole('button', { name: 'close' }).click();

  await line.getByRole('button', { name: /^bern_vip/ }).click();
  await page.getByText('version 1').first().waitFor();
  await ask(page, "city = 'Bern'");
  await total(page, 10);
  await save('bern_vip', 'all of Bern');
  const saved = await server.ask('audiences/bern_vip');
  assert.deepEqual([saved.version, saved.text, saved.count], [2, "city = 'Bern'", 10]);
  await line.getByRole('button', { name: 'about bern_vip' }).click();
  await page.getByRole('dialog').getByText("city = 'Bern' AND vip").waitFor();
  assert.deepEqual(page.problems, []);
});

test('a distribution shows exact numbers beside the base, and a bar becomes a rule', async () => {
  const page = await open(browser, server.url);
  await total(page, 40);
  await ask(page, 'vip');
  await total(page, 20);
  const card = page.getByRole('article', { name: 'tier' });
  const v1 = card.getByRole('row').filter({ hasText: 'V1' });
  const both = counted(({ vip, tier }) => vip && tier === 'V1');
  await v1.locator(`[data-count="${both}"]`).waitFor();
  const index = Math.round((100 * (both / 20)) / (counted(({ tier }) => tier === 'V1') / 40));
  assert.equal(await v1.locator('.index').innerText(), String(index));
  await v1.getByRole('button', { name: 'V1' }).click();
  await total(page, both);
  const unknown = page.getByRole('article', { name: 'city' }).getByRole('row').filter({ hasText: 'unknown' });
  const nowhere = counted(({ vip, tier, city }) => vip && tier === 'V1' && city === null);
  assert.equal(await unknown.count(), nowhere ? 1 : 0);
  assert.deepEqual(page.problems, []);
});

test('crosstab, overlap, behaviour, flow and plan answer for the question that stands', async () => {
  const page = await open(browser, `${server.url}/#/main?where=vip`);
  await total(page, 20);
  const tab = (name) => page.getByRole('tab', { name, exact: true }).click();
  await tab('Crosstab');
  await page.getByRole('combobox', { name: 'rows' }).selectOption('city');
  await page.getByRole('combobox', { name: 'columns' }).selectOption('tier');
  const cell = counted(({ vip, city, tier }) => vip && city === 'Oslo' && tier === 'V1');
  await page.getByTitle(`Oslo and V1: ${cell} people`).waitFor();

  await server.ask('audiences/romans', { where: "city = 'Rome'" }, 'PUT');
  await tab('Overlap');
  await page.getByLabel('a condition to compare').fill("tier = 'V1'");
  await page.keyboard.press('Enter');
  await page.getByLabel('a condition to compare').fill("interests = 'golf'");
  await page.keyboard.press('Enter');
  const golfers = counted(({ vip, tier, interests }) => vip && tier === 'V1' && interests.includes('golf'));
  await page.locator('.insight').getByRole('row').filter({ hasText: /tier.*interests/ }).getByRole('cell', { name: String(golfers), exact: true }).waitFor();

  await tab('Behaviour');
  await page.getByLabel('from').fill('2026-10-01');
  await page.getByLabel('to', { exact: true }).fill('2026-10-01');
  const buyers = counted(({ vip, purchases }) => vip && purchases.length > 0);
  await page.locator('.lines .legend').filter({ hasText: `people ${buyers}` }).waitFor();
  await page.getByRole('button', { name: 'funnel' }).click();
  await page.locator('.funnel li').first().getByRole('button', { name: String(buyers), exact: true }).waitFor();

  await tab('Flow');
  await page.getByRole('combobox', { name: 'tag' }).selectOption('tier');
  await page.getByTitle(`V1 → V1: ${counted(({ vip, tier }) => vip && tier === 'V1')} people`).waitFor();
  await tab('Plan');
  await page.locator('.plan').getByRole('cell', { name: '20', exact: true }).first().waitFor();
  for (const rest of ['What stands out', 'Trend', 'Why', 'Split', 'Waterfall', 'SQL']) {
    await tab(rest);
    await page.getByRole('tabpanel').locator(':scope > *').first().waitFor();
  }
  await page.getByRole('textbox', { name: 'SQL statement' }).fill('SELECT tier, count(*) FROM profiles GROUP BY tier ORDER BY tier');
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('row', { name: `V3 ${counted(({ tier }) => tier === 'V3')}` }).waitFor();
  assert.deepEqual(page.problems, []);
});

test('why somebody is in, parts that stay the same, one offer each, and whoever is alike', async () => {
  await server.ask('audiences/romans', { where: "city = 'Rome'" }, 'PUT');
  await server.ask('audiences/golfers', { where: "interests = 'golf'" }, 'PUT');
  const page = await open(browser, `${server.url}/#/main?where=${encodeURIComponent("vip AND city = 'Oslo'")}`);
  await total(page, 10);
  const tab = (name) => page.getByRole('tab', { name, exact: true }).click();
  await tab('Why');
  await page.getByRole('textbox', { name: 'whose' }).fill('m2');
  await page.getByRole('button', { name: 'Why?' }).click();
  await page.locator('.reasons p.is-out').waitFor();
  const reasons = page.locator('.reasons > ul > li');
  assert.match(await reasons.nth(0).innerText(), /✓[^]*vip/);
  assert.match(await reasons.nth(1).innerText(), /✗[^]*city = 'Oslo'[^]*Bern/);

  await tab('Split');
  const { parts, holdout } = await server.ask('split', { where: "vip AND city = 'Oslo'", salt: 'split', parts: [{ name: 'test', share: 0.45 }, { name: 'other', share: 0.45 }] });
  assert.equal(parts[0].count + parts[1].count + holdout.count, 10);
  await page.locator('.taken').getByRole('row').filter({ hasText: 'test' }).getByRole('cell', { name: String(parts[0].count), exact: true }).waitFor();

  await page.getByRole('button', { name: 'Clear' }).click();
  await total(page, 40);
  await tab('Waterfall');
  const golfers = ({ interests }) => interests.includes('golf');
  const romans = ({ city }) => city === 'Rome';
  const list = (await server.ask('audiences')).audiences.map(({ name }) => name).slice(0, 3);
  for (const name of list) await page.getByRole('button', { name: `leave out ${name}` }).click();
  for (const name of ['golfers', 'romans']) {
    await pick(page, page.locator('.insight').getByRole('button', { name: 'audience', exact: true }), name);
  }
  const row = page.locator('.taken').getByRole('row').filter({ hasText: 'romans' });
  await row.getByRole('cell', { name: String(counted((p) => romans(p) && !golfers(p))), exact: true }).waitFor();

  await ask(page, "interests = 'golf'");
  await total(page, counted(golfers));
  await tab('Look-alike');
  await page.getByRole('spinbutton', { name: 'how many', exact: true }).fill('5');
  await page.getByText(/^5 of 34 chosen/).waitFor();
  await page.getByRole('button', { name: 'Open them as a question' }).click();
  await total(page, 5);
  assert.deepEqual(page.problems, []);
});

test('people are listed, shown whole, and saved to a file', async () => {
  const page = await open(browser, `${server.url}/#/main?tab=members`);
  await ask(page, "member IN ('m7', 'm9')");
  await total(page, 2);
  await page.getByRole('button', { name: 'm9', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('OneID').waitFor();
  const facts = Object.fromEntries(await dialog.locator('.facts div').evaluateAll((rows) => rows.map((row) => [...row.children].map((one) => one.textContent))));
  assert.deepEqual(facts, { OneID: '9', member: 'm9', phone: '7009', age: '29', birthday: '1969-12-30', city: 'Rome', interests: 'tea', signup: '2026-10-05', spend: '94.5', tier: 'V1', vip: 'false' });
  assert.equal(await dialog.locator('.events li').count(), PEOPLE[9].purchases.length);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export 2' }).click()]);
  assert.equal(download.suggestedFilename(), 'main.csv');
  const lines = readFileSync(await download.path(), 'utf8').trim().split(/\r?\n/);
  assert.equal(lines.length, 3);
  assert.match(lines[0], /^one_id,member,phone/);
  assert.match(lines[1], /^7,m7,/);
  assert.deepEqual(page.problems, []);
});

test('a link says the whole question: base, date and tab', async () => {
  const page = await open(browser, `${server.url}/#/main?where=${encodeURIComponent("tier = 'V1'")}&base=vip&as_of=2026-06-30&tab=differences`);
  await total(page, counted(({ tier }) => tier === 'V1'));
  await page.getByText(/of 20 in the base/).waitFor();
  assert.equal(await page.getByRole('tab', { selected: true }).innerText(), 'What stands out');
  await ask(page, 'signup >= CURRENT_DATE - 30');
  await total(page, counted(({ signup }) => signup >= '2026-05-31'));
  assert.match(decodeURIComponent(page.url()), /as_of=2026-06-30/);
  assert.deepEqual(page.problems, []);
});

test('it fits a narrow screen and the dark', async () => {
  const page = await open(browser, `${server.url}/#/main?where=${encodeURIComponent("city = 'Oslo' AND (vip OR age > 30)")}`, { viewport: { width: 390, height: 800 }, colorScheme: 'dark' });
  await total(page, counted(({ city, vip, age }) => city === 'Oslo' && (vip || age > 30)));
  const [width, inner, canvas] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth, getComputedStyle(document.documentElement).backgroundColor]);
  assert.ok(width <= inner, `${width} > ${inner}`);
  assert.equal(canvas, 'rgb(14, 17, 22)');
  assert.deepEqual(page.problems, []);
});

test('the reference has every call, and an example that can be sent', async () => {
  const page = await open(browser, `${server.url}/docs`);
  await page.locator('.call').first().waitFor();
  const document = await (await fetch(`${server.url}/openapi.json`)).json();
  const calls = Object.values(document.paths).flatMap((item) => Object.keys(item).filter((key) => key !== 'parameters'));
  assert.equal(await page.locator('.call').count(), calls.length);
  assert.equal(await page.locator('.call .code').count(), calls.length);
  const count = page.locator('#count');
  await count.getByText('Try it here').click();
  await count.getByRole('textbox', { name: 'body' }).fill('{"where": "vip"}');
  await count.getByRole('button', { name: 'Send' }).click();
  await count.getByText('"count": 20').waitFor();
  assert.deepEqual(page.problems, []);
});
