/** The rules are pure: they take all input, including the time, as arguments, and return values. */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'

const APP = new URL('../app/', import.meta.url)

const PURE = [
  'messages/template_choice.ts',
  'json.ts',
  'phone.ts',
  'states.ts',
  'outreach/calendar.ts',
  'outreach/line.ts',
  'outreach/notices.ts',
  'outreach/quiet_hours.ts',
  'outreach/rules.ts',
  'outreach/summaries.ts',
  'replay/compare.ts',
  'replay/person.ts',
  'replay/simulate.ts',
  'privacy/inputs.ts',
  'privacy/mentions.ts',
  'replies/answers.ts',
  'replies/keywords.ts',
  'replies/sentences.ts',
  'tenants/checklist.ts',
  'tenants/schema.ts',
  'monitoring/webhook_silence.ts',
  'voicenter/body.ts',
  'voicenter/call_log/entries.ts',
  'voicenter/call_kind.ts',
  'voicenter/campaign.ts',
  'voicenter/classify.ts',
  'voicenter/live.ts',
  'voicenter/parse.ts',
  'voicenter/roots.ts',
  'voicenter/talks.ts',
  'voicenter/time.ts',
  'whatsapp/errors.ts',
  'whatsapp/follow_graph.ts',
  'whatsapp/own_templates.ts',
  'whatsapp/templates.ts',
  'whatsapp/webhook.ts',
]
const MODULES = ['luxon', 'suncalc', 'zod', 'libphonenumber-js', 'libphonenumber-js/max']

const urlOf = (file: string): string => new URL(file, APP).href
const pure = new Set(PURE.map(urlOf))

/** Static and dynamic imports, re-exports, require. */
const IMPORTS = /(?<!['"`])\b(?:from|import|require)\b[\s(]*(['"`])(.*?)\1/g
const COMMENTS = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
/** Such as import(name): the module is not known. */
const UNREADABLE_IMPORT = /\b(?:import|require)\s*\(\s*[^\s'"`]/g
/** The clock, random values and I/O. Date with arguments is arithmetic. */
const SIDE_EFFECTS =
  /\bDate(?:Time)?\s*\.\s*(?:now|local|utc)\b|\bnew\s+Date\b(?!\s*\(\s*[^\s)])|(?<!new\s+)\bDate\s*\(|\bMath\s*\.\s*random\b|\b(?:process|performance|crypto|globalThis)\s*(?:\.|\?\.|\[)|\bfetch\s*\(|\bset(?:Timeout|Interval|Immediate)\b|\bconsole\b/g

/** The imports and calls that make a file of app/ impure. */
const impurities = (file: string, written: string): string[] => {
  const text = written.replace(COMMENTS, '')
  const imports = [...text.matchAll(IMPORTS)].map(([, , from = '']) => from)
  const foreign = imports.filter(
    from =>
      !MODULES.includes(from) &&
      !(from.startsWith('.') && pure.has(new URL(from, urlOf(file)).href)),
  )
  const effects = [UNREADABLE_IMPORT, SIDE_EFFECTS].flatMap(pattern =>
    [...text.matchAll(pattern)].map(([found]) => found.trim()),
  )
  return [...foreign, ...effects]
}

await t.test('pure files import only each other and use no clock', async t => {
  for (const file of PURE) {
    const text = readFileSync(new URL(file, APP), 'utf8')
    t.strictSame(impurities(file, text), [], file)
  }
})

await t.test('no file loads Node’s fetch with its http server', async t => {
  for (const file of globSync('**/*.ts', { cwd: APP }))
    t.notMatch(
      readFileSync(new URL(file, APP), 'utf8'),
      /^import (?!type).* from 'node:http'/m,
      file,
    )
})

await t.test('impure files are recognised', async t => {
  for (const file of [
    'voicenter/ingest.ts',
    'voicenter/calls.ts',
    'whatsapp/client.ts',
    'config.ts',
  ])
    t.not(impurities(file, readFileSync(new URL(file, APP), 'utf8')).length, 0, file)
})

await t.test('each kind of side effect is found', async t => {
  const lines = [
    "import { db } from '../db/kysely.ts'",
    "import { config } from '../config.ts'",
    "import type { Trx } from '../db/kysely.ts'",
    "import\n  { db }\n  from\n  '../db/kysely.ts'",
    "import '../db/pool.ts'",
    'import express from "express"',
    "import { readFileSync } from 'node:fs'",
    "import { kinds } from './call.ts'",
    "import { readPhone } from './phone.ts'",
    "export * from '../config.ts'",
    "export { config } from '../config.ts'",
    "const { db } = await import('../db/kysely.ts')",
    'const { db } = await import(`../db/kysely.ts`)',
    'const { db } = await import(name)',
    "const pg = require('pg')",
    'const now = Date.now()',
    'const now = Date\n  .now()',
    'const now = [1].map(Date.now)',
    'const now = new Date()',
    'const now = new Date( )',
    'const now = new Date',
    'const now = Date()',
    "const zone = process.env['TZ']",
    "const zone = process['env']",
    'const zone = globalThis.process',
    'const chance = Math.random()',
    'const start = performance.now()',
    'const id = crypto.randomUUID()',
    'const answer = await fetch(url)',
    'setTimeout(work, 1)',
    "console.log('x')",
  ]
  for (const line of lines) t.equal(impurities('voicenter/ingest.ts', line).length, 1, line)
})

await t.test('calculations are accepted', async t => {
  const lines = [
    "import { z } from 'zod'",
    "import { parsePhoneNumberFromString } from 'libphonenumber-js/max'",
    "import { readPhone } from '../phone.ts'",
    "import { classify } from './classify.ts'",
    'const at = new Date(ms)',
    'const at = new Date(\n  now.getTime() - HOUR,\n)',
    'const at = Date.UTC(2020, 0, 1)',
    'const at = Date.parse(iso)',
    'const processed = true',
    'type At = { at: Date }',
    'const at: Date = now',
    'at instanceof Date',
  ]
  for (const line of lines) t.strictSame(impurities('voicenter/ingest.ts', line), [], line)
})
