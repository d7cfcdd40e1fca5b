// A server of its own on a free port with forty people in it, and a browser that looks at it.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const BINARY = process.env.HEADCOUNT_BINARY ?? join(process.env.CARGO_TARGET_DIR ?? 'target', 'debug', 'headcount');
const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const START_MS = 30_000;

const CITIES = ['Oslo', 'Rome', 'Bern', null];
const TIERS = ['V1', 'V2', 'V3'];

/** The people, as plain objects: what the numbers of the tests are taken from. */
export const PEOPLE = Array.from({ length: 40 }, (_, i) => ({
  id: `m${i}`,
  phone: i % 3 === 0 ? `700${i}` : null,
  city: CITIES[i % 4],
  tier: TIERS[i % 3],
  age: i % 5 === 0 ? null : 20 + i,
  spend: i * 10.5,
  vip: i % 2 === 0,
  interests: [i % 2 ? 'tea' : null, i % 3 ? 'yoga' : null, i % 7 ? null : 'golf'].filter(Boolean),
  birthday: `19${60 + i}-${i % 2 ? '12-30' : '06-15'}`,
  signup: `2026-${String(1 + (i % 10)).padStart(2, '0')}-05`,
  purchases: Array.from({ length: i % 4 }, (__, k) => ({ at: `2026-10-${String(1 + k * 9).padStart(2, '0')}T10:00:00Z`, category: k ? 'dairy' : 'bakery', amount: 10 * (k + 1), store: `S${k}` })),
}));

const SCHEMA = {
  id_types: ['member', 'phone'],
  tags: {
    city: { type: 'category' }, tier: { type: 'category' }, age: { type: 'number' }, spend: { type: 'number', scale: 2 }, vip: { type: 'flag' },
    interests: { type: 'set' }, birthday: { type: 'date' }, signup: { type: 'date' },
  },
  events: { purchase: { properties: { category: { type: 'category' }, store: { type: 'category' }, amount: { type: 'number', scale: 2 } } } },
};

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Runs `headcount` to its end. */
export function run(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(BINARY, args);
    let out = '';
    child.stdout.on('data', (bytes) => { out += bytes; });
    child.stderr.on('data', (bytes) => { out += bytes; });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve(out) : reject(new Error(out))));
  });
}

/** `prepare` is told the data directory before the server starts. */
export async function startServer(prepare = async () => undefined) {
  const dir = mkdtempSync(join(tmpdir(), 'headcount-page-'));
  const token = await prepare(dir);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(BINARY, ['serve', '--data', dir, '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const ask = async (path, body, method = body === undefined ? 'GET' : 'POST', type = headers['content-type']) => {
    const response = await fetch(url + path, { method, headers: { ...headers, 'content-type': type }, body: typeof body === 'string' || body === undefined ? body : JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const until = Date.now() + START_MS;
  while (!(await fetch(`${url}/health/ready`).then((r) => r.ok, () => false))) {
    if (Date.now() > until) throw new Error('the server does not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const main = '/v1/spaces/main';
  await ask(main, SCHEMA, 'PUT');
  const lines = (rows) => rows.map((row) => JSON.stringify(row)).join('\n');
  await ask(`${main}/profiles`, lines(PEOPLE.map(({ id, phone, purchases, ...set }) => ({ id: phone ? { member: id, phone } : { member: id }, set }))), 'POST', 'application/x-ndjson');
  await ask(`${main}/events`, lines(PEOPLE.flatMap(({ id, purchases }) => purchases.map((one) => ({ id: { member: id }, event: 'purchase', ...one })))), 'POST', 'application/x-ndjson');
  const stop = () => new Promise((resolve) => {
    child.on('exit', () => {
      rmSync(dir, { recursive: true, force: true });
      resolve();
    });
    child.kill('SIGTERM');
  });
  return { url, token, ask: (question, body, method) => ask(`${main}/${question}`, body, method), stop };
}

/** A browser with nothing kept from before. */
export function startBrowser() {
  return chromium.launch({ executablePath: BROWSER, headless: true, args: FLAGS });
}

/** A page on which nothing may go wrong: errors of scripts and of the content policy are collected. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && !/status of 4\d\d/.test(message.text()) && problems.push(message.text()));
  page.on('request', (request) => new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith('blob:') && problems.push(`asked ${request.url()}`));
  page.setDefaultTimeout(15_000);
  await page.goto(url);
  return Object.assign(page, { problems });
}

/** Waits until the page's total is `n`. */
export async function total(page, n) {
  await page.locator(`.total-number[data-total="${n}"]`).waitFor();
}
