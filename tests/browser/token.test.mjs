// A server that asks for tokens: the page asks for one, keeps it in its tab, and answers with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open, run, startBrowser, startServer, total } from './world.mjs';

test('the page asks for a token and goes on with it', async () => {
  const server = await startServer(async (dir) => (await run('token', 'create', '--name', 'tester', '--role', 'admin', '--data', dir)).match(/\S{20,}/)[0]);
  const browser = await startBrowser();
  try {
    const page = await open(browser, server.url);
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Bearer token').fill('not this one');
    await dialog.getByRole('button', { name: 'Use it' }).click();
    await dialog.getByText('wants a token that it knows').waitFor();
    await dialog.getByLabel('Bearer token').fill(server.token);
    await dialog.getByRole('button', { name: 'Use it' }).click();
    await total(page, 40);
    await page.reload();
    await total(page, 40);
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    assert.deepEqual(page.problems, []);
  } finally {
    await browser.close();
    await server.stop();
  }
});
