/**
 * Hostile bodies for the door of the call records, delivered with a valid token: what a broken exchange, a
 * wrong setting or a malicious account may send. Some are made up, some are the sample records with a few
 * bytes changed, so that they get past the first check and go deep.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { exchangeTime } from '../demo/cdr.ts'
import {
  brokenJson,
  mutated,
  strangeJson,
  strangeName,
  strangeText,
  strangeTime,
} from './strange.ts'

export type Hostile = {
  /** What is hostile about it. */
  kind: string
  bytes: Buffer
  headers: Record<string, string>
  /** The answers that fit. */
  fits: number[]
  /** What must be kept, each for itself: the whole, or the elements of an array. */
  parts: Buffer[]
}

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'
const TAKEN = [200]
const REFUSED = [400]
const EITHER = [200, 400]

const run = Date.now().toString(36)
let made = 0
/** Never the same twice, or two bodies would be one record. */
export const fresh = (): string => `${run}${(made++).toString(36)}`
/** A mobile number that nobody else has. */
const mobile = (): string => `052${2_000_000 + (made++ % 7_000_000)}`

const hostile = (kind: string, fits: number[], bytes: Buffer, parts = [bytes]): Hostile => ({
  kind,
  bytes,
  headers: {},
  fits,
  parts,
})

/** A record as names and values that are JSON already: so a name may come twice, and a number be any. */
type Fields = [name: string, json: string][]
const written = (fields: Fields): string =>
  `{${fields.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join()}}`

const folder = new URL('../../test/fixtures/voicenter/', import.meta.url)
const SAMPLES = readdirSync(folder)
  .filter(name => /\.(json|txt)$/.test(name))
  .map(name => readFileSync(new URL(name, folder), 'utf8'))

/** Whatever the sample: as if the call had been now, to that line, from somebody new. */
const renewed = (sample: string, did: string): string =>
  sample
    .replaceAll('0722776772', did)
    .replaceAll(/(?<!\d)(?:0|972)5[0-9]{8}(?!\d)/g, mobile())
    .replaceAll(/202[0-9]{11}[0-9a-zA-Z]+|2020072818dcDHFJcc804/g, fresh())
    .replace(/(time"?[:=]\s*)\d{10}/, `$1${exchangeTime(new Date()) - 30}`)

const isForm = (sample: string): boolean => !sample.startsWith('{')

const sample = (did: string) => fc.constantFrom(...SAMPLES).map(text => renewed(text, did))
const jsonSample = (did: string) =>
  fc.constantFrom(...SAMPLES.filter(text => !isForm(text))).map(text => renewed(text, did))

/** A sample of which some values are others, or stand under another's name. */
const changedSample = (did: string) =>
  fc
    .tuple(
      jsonSample(did),
      fc.array(fc.tuple(fc.nat(40), fc.nat(40), fc.option(strangeJson)), {
        minLength: 1,
        maxLength: 3,
      }),
    )
    .map(([sample, changes]) => {
      const record: Record<string, unknown> = JSON.parse(sample)
      const fields = Object.entries(record).map(([name, value]): [string, string] => [
        name,
        JSON.stringify(value),
      ])
      for (const [n, other, json] of changes) {
        const field = fields[n % fields.length]
        const [name, value] = fields[other % fields.length] ?? []
        if (field && json === null) field[0] = name ?? field[0]
        else if (field) field[1] = json ?? value ?? field[1]
      }
      return text('changed sample', EITHER, written([...fields, ['~', `"${fresh()}"`]]))
    })

/** An array is taken apart, and each element kept for itself: `parts` says which. Made by chance, nobody could tell. */
const isArray = (bytes: Buffer): boolean => {
  try {
    return Array.isArray(JSON.parse(bytes.toString()))
  } catch {
    return false
  }
}

/** A missed call of half a minute ago. */
const record = (did: string): Fields => [
  ['ivruniqueid', JSON.stringify(fresh())],
  ['caller', JSON.stringify(mobile())],
  ['did', JSON.stringify(did)],
  ['status', '"NOANSWER"'],
  ['type', '"Incoming Call"'],
  ['time', String(exchangeTime(new Date()) - 30)],
]
const without = (fields: Fields, ...names: string[]) =>
  fields.filter(([name]) => !names.includes(name))

/** Fields of which any value may come, and its record be one all the same. */
const FREE =
  `caller did target type direction isAnswer duration dialtime ringtime extenUser targetextension callerextension
   representative_name queuename CustomData IVR record OriginalIvrUniqueID callerPhone DID Status dialstatus Date
   DepartmentName aiData`.split(/\s+/)

/** Every field that is there may be strange, others come with it, a name comes twice; the last one counts. */
const strangeFields = (did: string) =>
  fc
    .tuple(
      fc.array(fc.tuple(fc.oneof(fc.constantFrom(...FREE), strangeName), strangeJson), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.option(strangeTime, { nil: undefined }),
    )
    .map(([strange, time]): Fields => [
      ...record(did),
      ...strange,
      ...(time === undefined ? [] : ([['time', time]] satisfies Fields)),
    ])

const GOOD_ID = fc
  .constantFrom<(id: string) => string>(
    id => JSON.stringify(`ש${id}😀`),
    id => JSON.stringify(` ${id} `),
    id => JSON.stringify(`lead_outreach:1 ${id}`),
    id => JSON.stringify(`'; drop table raw_cdrs; -- ${id}`),
    id => JSON.stringify(id.padEnd(128, 'x')),
    () => `20261115101503${String(made++).padStart(14, '0')}`,
  )
  .map(make => make(fresh()))
const BAD_ID = fc.constantFrom(
  ...String.raw`"" " " 0 null true {} ["1"] -1 -0 1.5 1e400 1e21 "1\u0000" "1\ud800" "1\n2"`.split(
    /(?<!") (?!")/,
  ),
  `"${'x'.repeat(10_000)}"`,
  '1'.repeat(129),
)

const text = (kind: string, fits: number[], body: string): Hostile =>
  hostile(kind, fits, Buffer.from(body))

const element = (did: string): fc.Arbitrary<{ json: string; good: boolean }> =>
  fc.oneof(
    {
      arbitrary: strangeFields(did).map(fields => ({ json: written(fields), good: true })),
      weight: 4,
    },
    { arbitrary: jsonSample(did).map(json => ({ json, good: true })), weight: 4 },
    {
      arbitrary: strangeText.map(word => ({
        json: `{"~":${JSON.stringify(word + fresh())}}`,
        good: false,
      })),
      weight: 1,
    },
    {
      arbitrary: strangeText.map(word => ({ json: JSON.stringify(word + fresh()), good: false })),
      weight: 1,
    },
  )

const form = (pairs: [string, string][]): string =>
  pairs.map(pair => pair.map(part => encodeURIComponent(part.toWellFormed())).join('=')).join('&')
const plain = (fields: Fields): [string, string][] =>
  fields.map(([name, json]) => [name, json.replace(/^"|"$/g, '')])

/** What Voicenter's other interfaces send, when somebody has pointed them here. */
const NEIGHBOURS: ((did: string) => Hostile)[] = [
  did =>
    text(
      'pop-up screen',
      EITHER,
      JSON.stringify({ phone: mobile(), ivrid: fresh(), did, status: 'Ringing' }),
    ),
  did =>
    text(
      'pop-up screen without a line',
      REFUSED,
      JSON.stringify({ phone: mobile(), ivrid: fresh(), status: did }),
    ),
  did =>
    text(
      'External Layer',
      TAKEN,
      JSON.stringify({ METHOD: 'IVR_LAYER_INPUT', DATA: { DID: did, IVR_UNIQUE_ID: fresh() } }),
    ),
  () =>
    text(
      'Call Log answer',
      REFUSED,
      JSON.stringify({ ERROR_NUMBER: 0, CDR_LIST: [{ CallID: fresh() }] }),
    ),
  () =>
    text(
      'XML-RPC',
      [415],
      `<?xml version="1.0"?><methodCall><methodName>${fresh()}</methodName></methodCall>`,
    ),
  () => text('HTML', REFUSED, `<!doctype html><p>${fresh()}`),
  () =>
    text(
      'multipart',
      REFUSED,
      `--x\r\nContent-Disposition: form-data; name="${fresh()}"\r\n\r\n1\r\n--x--`,
    ),
  () => text('ping', REFUSED, JSON.stringify({ test: true, at: fresh() })),
]

const ENCODINGS: ((json: string) => Hostile)[] = [
  json => text('byte order mark', TAKEN, `\ufeff${json}`),
  json => hostile('UTF-16', REFUSED, Buffer.from(`\ufeff${json}`, 'utf16le')),
  json => hostile('UTF-16 without a mark', REFUSED, Buffer.from(json, 'utf16le')),
  json =>
    hostile('windows-1255', REFUSED, Buffer.from(json.replace('{', '{"x":"\xf9\xec",'), 'latin1')),
  json => hostile('half a character', REFUSED, Buffer.from(`${json}ש`).subarray(0, -1)),
  json => text('raw NUL', REFUSED, json.replace('"status":"', '"status":"\0')),
  json => text('raw line feed', REFUSED, json.replace('"status":"', '"status":"\n')),
]

/** Larger than is read, or just not. Few of them: each is five million bytes. */
const LIMIT = 5 * 1024 * 1024
const sized = (did: string, size: number): Hostile => {
  const json = written(record(did))
  const body = `${json.slice(0, -1)},"~":"${'x'.repeat(size - json.length - 7)}"}`
  return size > LIMIT ? text('too large', [413], body) : text('as large as may be', TAKEN, body)
}

const gzipped = (did: string): Hostile => ({
  ...hostile('gzip', [415], gzipSync(written(record(did))), []),
  headers: { 'content-encoding': 'gzip' },
})

const CONTENT_TYPES = fc.oneof(
  { arbitrary: fc.constant(JSON_TYPE), weight: 4 },
  fc.constantFrom(
    FORM_TYPE,
    'text/plain; charset=utf-7',
    'text/xml',
    'a/b; charset=iso-8859-8',
    'x'.repeat(1000),
  ),
)

/**
 * One hostile body for the tenant whose line this is.
 *
 * @param large whether some are to be as large as the limit, or larger
 */
export const hostileCdr = (did: string, large = true): fc.Arbitrary<Hostile> => {
  const now = fc.constant(null)
  const kinds = fc.oneof(
    {
      weight: 300,
      arbitrary: strangeFields(did).map(fields => text('strange values', TAKEN, written(fields))),
    },
    {
      weight: 100,
      arbitrary: GOOD_ID.map(id =>
        text(
          'strange call id',
          TAKEN,
          written([...without(record(did), 'ivruniqueid'), ['ivruniqueid', id]]),
        ),
      ),
    },
    {
      weight: 100,
      arbitrary: BAD_ID.map(id =>
        text(
          'wrong call id',
          REFUSED,
          written([...record(did).slice(1), ['~', `"${fresh()}"`], ['CallID', id]]),
        ),
      ),
    },
    {
      weight: 50,
      arbitrary: fc
        .constantFrom('ivruniqueid', 'caller', 'did', 'status')
        .map(name =>
          text(
            'missing field',
            REFUSED,
            written([...without(record(did), name), ['~', `"${fresh()}"`]]),
          ),
        ),
    },
    { weight: 100, arbitrary: brokenJson.map(bytes => hostile('no JSON', REFUSED, bytes)) },
    {
      weight: 100,
      arbitrary: fc.constantFrom(...ENCODINGS).map(encode => encode(written(record(did)))),
    },
    { weight: 100, arbitrary: fc.constantFrom(...NEIGHBOURS).map(make => make(did)) },
    {
      weight: 150,
      arbitrary: fc.array(fc.tuple(strangeName, strangeText), { maxLength: 4 }).map(pairs => ({
        ...text('form', TAKEN, form([...pairs, ...plain(record(did))])),
        headers: { 'content-type': FORM_TYPE },
      })),
    },
    {
      weight: 200,
      arbitrary: fc.array(element(did), { minLength: 1, maxLength: 8 }).map(elements => {
        const bytes = Buffer.from(`[${elements.map(({ json }) => json).join(' ,\n')}]`)
        const parts = elements.map(({ json }) => Buffer.from(json.trim()))
        return hostile('array', elements.every(({ good }) => good) ? TAKEN : REFUSED, bytes, parts)
      }),
    },
    {
      weight: 300,
      arbitrary: mutated(sample(did).map(body => Buffer.from(body)))
        .filter(bytes => !isArray(bytes))
        .map(bytes => hostile('changed bytes', EITHER, bytes)),
    },
    { weight: 400, arbitrary: changedSample(did) },
    { weight: 25, arbitrary: now.map(() => gzipped(did)) },
    ...(large
      ? [
          {
            weight: 1,
            arbitrary: fc.constantFrom(LIMIT, LIMIT + 1, LIMIT + 100).map(size => sized(did, size)),
          },
        ]
      : []),
  )
  return fc
    .tuple(kinds, CONTENT_TYPES)
    .map(([body, type]) => ({ ...body, headers: { 'content-type': type, ...body.headers } }))
}
