/**
 * Hostile bodies for both webhooks, as tables of fast-check generators. They are dangerous values in any field, forms and
 * arrays of such values, changed samples, and WhatsApp updates that no table column can hold.
 */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { exchangeTime } from '../../scripts/demo/cdr.ts'

export type Hostile = {
  bytes: Buffer
  /** The correct answers. */
  answers: number[]
  /** What must be stored or rejected: the body, or each element of an array. */
  parts?: Buffer[]
  contentType?: string
  /** Texts by which the updates of a webhook are found in `whatsapp_events`. */
  marks?: string[]
}
const body = (bytes: Buffer | string, ...answers: number[]): Hostile => ({
  bytes: Buffer.from(bytes),
  answers,
})
export const isJson = (bytes: Buffer): boolean => {
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

const run = Date.now().toString(36)
let made = 0
/** Never the same twice, or two bodies would be one CDR. */
export const fresh = (): string => `${run}${(made++).toString(36)}`
export const mobile = (): string => `052${2_000_000 + (made++ % 7_000_000)}`
const quote = (value: unknown): string => JSON.stringify(value)
const words = (list: string) => fc.constantFrom(...list.split(/\s+/))

const UNITS = fc.integer({ min: 0, max: 0xffff }).map(unit => String.fromCharCode(unit))
/** Postgres cannot store some of these, a log must not print some, and some look like something else. */
const TEXTS = [
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800x',
  '😀\ud83d',
  '\ufeff\ufffd\u2028\u202eבוקר\u200f',
  `'; drop table leads; --`,
  `$1 \\' " \\ \\u0000 %s %n {{1}} \${jndi:ldap://x}`,
  '=cmd|/c calc!A1',
  'x\r\nSet-Cookie: a=b\r\n\u001b[31mred\u0007',
  '../../etc/passwd%00',
  '<script>alert(1)</script>&#0;',
  '__proto__',
  'constructor',
  '[object Object]',
  '',
  ' \t\n',
  'null',
  'NaN',
  '-1',
  '0',
  '1e309',
  'infinity',
  '٠٥٠١٢٣٤٥٦٧',
  '+972 (50) 234-5678;ext=1',
  'sip:0502345678@voicenter.co',
  '0'.repeat(300),
  'ש'.repeat(5000),
  'x'.repeat(100_000),
]
const anyText = fc.oneof(
  { arbitrary: fc.constantFrom(...TEXTS), weight: 30 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 40 }), weight: 10 },
  { arbitrary: fc.string({ unit: UNITS, maxLength: 40 }), weight: 10 },
  // Random, so that compression does not make it short enough for an index.
  { arbitrary: fc.string({ unit: UNITS, minLength: 3000, maxLength: 4000 }), weight: 1 },
)
/** As text, since a double does not keep each number as it is written. */
const anyNumber = fc.oneof(
  words('1e400 -1e400 1e200000 1e-400 -0 0.0 1.0 1E5 9007199254740993 2147483648'),
  fc.constantFrom('-9223372036854775809', '9'.repeat(1000), `0.${'1'.repeat(1000)}`),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(quote),
)
/** Names with a meaning in JavaScript or in the driver, and names that are no field of a CDR. */
const anyName = fc.oneof(
  words('__proto__ constructor prototype toString toPostgres toJSON then 0 $ne'),
  fc.constant(''),
  anyText.map(text => `~${text}`),
)
const nest = (levels: number, inner: string) => '['.repeat(levels) + inner + ']'.repeat(levels)
/** A JSON text, at most 28 levels deep. */
const anyJson: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: anyText.map(quote), weight: 4 },
  { arbitrary: anyNumber, weight: 2 },
  { arbitrary: fc.oneof(words('null true false {} [] {"a":{"a":[{}]}}')), weight: 2 },
  { arbitrary: fc.constant(nest(28, '1')), weight: 1 },
  {
    arbitrary: fc
      .tuple(anyName, anyText)
      .map(([name, x]) => `{${quote(name)}:{"admin":true,"x":${quote(x)}}}`),
    weight: 1,
  },
)
/** Values that a database reads as a time, and that cannot be the time of a call. */
const anyTime = fc.oneof(
  words('now tomorrow infinity -infinity epoch allballs 0001-01-01 275760-09-13').map(quote),
  // The hour that March leaves out, and the one that October has twice; no date; an impossible zone.
  words(
    '2027-03-26T02:30:00 2026-10-25T01:30:00 2026-02-30T00:00:00Z 2026-11-15T10:15:03+99:00',
  ).map(time => quote(time.replace(/T(?=..:30)/, ' '))),
  fc.integer({ min: -20, max: 20 }).map(days => `${Math.floor(Date.now() / 1000) + days * 86_400}`),
  fc.integer({ min: -20, max: 20 }).map(days => `${Date.now() + days * 86_400_000}`),
  anyNumber,
)

/** Changes a few bytes, so that most of the body stays valid and reaches the inner code. */
const mutated = (original: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> => {
  const change = fc.record({
    kind: words('flip set cut double insert truncate'),
    /** Where, as a share of the whole. */
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    length: fc.integer({ min: 1, max: 10 }),
    byte: fc.integer({ min: 0, max: 255 }),
    text: fc.oneof(anyJson, words(', : " } ] [ { \\ \\u0000 %00 & =')),
  })
  return fc
    .tuple(original, fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([bytes, changes]) =>
      changes.reduce<Buffer>((now, { kind, at, length, byte, text }) => {
        const start = Math.floor(at * now.length)
        const before = now.subarray(0, start)
        const piece = now.subarray(start, start + length)
        const after = now.subarray(start + length)
        if (kind === 'truncate') return before
        if (kind === 'cut') return Buffer.concat([before, after])
        if (kind === 'double') return Buffer.concat([before, piece, piece, after])
        if (kind === 'insert') return Buffer.concat([before, Buffer.from(text), piece, after])
        const changed = kind === 'flip' ? (piece[0] ?? 0) ^ (1 << (byte % 8)) : byte
        return Buffer.concat([before, Buffer.from([changed]), now.subarray(start + 1)])
      }, bytes),
    )
}

type Fields = [name: string, json: string][]
/** Not by JSON.stringify: a name may come twice, and a number may be any. */
const written = (fields: Fields): string =>
  `{${fields.map(([name, json]) => `${quote(name)}:${json}`).join()}}`
/** A missed call of half a minute ago. */
const cdr = (line: string, id = fresh()): Fields => [
  ['ivruniqueid', quote(id)],
  ['caller', quote(mobile())],
  ['did', quote(line)],
  ['status', '"NOANSWER"'],
  ['type', '"Incoming Call"'],
  ['time', `${exchangeTime(new Date()) - 30}`],
]
/** With any value in these fields the CDR is valid all the same. */
const FREE = words(
  `caller did target type direction isAnswer duration dialtime ringtime extenUser targetextension callerextension
   representative_name queuename CustomData IVR record OriginalIvrUniqueID callerPhone DID Status dialstatus Date
   DepartmentName aiData`,
)
const anyFields = (name: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<Fields> =>
  fc.array(fc.tuple(fc.oneof(name, anyName), anyJson), { minLength: 1, maxLength })
const anyCdr = (line: string): fc.Arbitrary<string> =>
  fc
    .tuple(anyFields(FREE, 5), fc.option(anyTime))
    .map(([fields, time]) =>
      written([...cdr(line), ...fields, ...(time ? [named('time', time)] : [])]),
    )
const named = (name: string, json: string): Fields[number] => [name, json]

const folder = new URL('../fixtures/voicenter/', import.meta.url)
const SAMPLES = readdirSync(folder)
  .filter(name => /\.(json|txt)$/.test(name))
  .map(name => readFileSync(new URL(name, folder), 'utf8'))
/** A sample CDR as if a new caller had called this line now. */
const sample = (line: string, from = SAMPLES): fc.Arbitrary<string> =>
  fc.constantFrom(...from).map(text =>
    text
      .replaceAll('0722776772', line)
      .replaceAll(/(?<!\d)(?:0|972)5[0-9]{8}(?!\d)/g, mobile())
      .replaceAll(/202[0-9]{11}[0-9a-zA-Z]+|2020072818dcDHFJcc804/g, fresh())
      .replace(/(time"?[:=]\s*)\d{10}/, `$1${exchangeTime(new Date()) - 30}`),
  )
const jsonSample = (line: string) =>
  sample(
    line,
    SAMPLES.filter(text => text.startsWith('{')),
  )
/** A sample in which some values are others, or have the name of another field. */
const changedSample = (line: string): fc.Arbitrary<string> => {
  const change = fc.tuple(fc.nat(40), fc.nat(40), fc.option(anyJson))
  return fc
    .tuple(jsonSample(line), fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([text, changes]) => {
      const values: Record<string, unknown> = JSON.parse(text)
      const fields = Object.entries(values).map(([name, value]) => named(name, quote(value)))
      for (const [n, other, json] of changes) {
        const field = fields[n % fields.length]
        const [name, value] = fields[other % fields.length] ?? []
        if (field && json === null) field[0] = name ?? field[0]
        else if (field) field[1] = json ?? value ?? field[1]
      }
      return written([...fields, ['~', `"${fresh()}"`]])
    })
}

const IDS = [
  'ש$😀',
  ' $ ',
  'lead_outreach:1 $',
  `'; drop table raw_cdrs; -- $`,
  `$${'x'.repeat(90)}`,
]
const FORM = 'application/x-www-form-urlencoded'
const asForm = (pairs: [string, string][]): string =>
  pairs.map(pair => pair.map(part => encodeURIComponent(part.toWellFormed())).join('=')).join('&')

/** CDRs for the tenant with this line, by kind. */
export const CDRS: Record<string, (line: string) => fc.Arbitrary<Hostile>> = {
  'any value in any field': line => anyCdr(line).map(json => body(json, 200)),
  'a strange call id': line =>
    fc.constantFrom(...IDS).map(id => body(written(cdr(line, id.replace('$', fresh()))), 200)),
  'a form with strange fields': line =>
    fc.array(fc.tuple(anyName, anyText), { maxLength: 4 }).map(pairs => {
      const own = cdr(line).map(([name, json]) => named(name, json.replaceAll('"', '')))
      return { ...body(asForm([...pairs, ...own]), 200), contentType: FORM }
    }),
  'an array of valid and invalid elements': line => {
    const valid = fc.oneof(anyCdr(line), jsonSample(line)).map(json => ({ json, isValid: true }))
    const invalid = anyText.map(text => ({
      json: `{"~":${quote(text + fresh())}}`,
      isValid: false,
    }))
    const element = fc.oneof({ arbitrary: valid, weight: 8 }, { arbitrary: invalid, weight: 1 })
    return fc.array(element, { minLength: 1, maxLength: 8 }).map(elements => {
      const json = `[${elements.map(one => one.json).join(' ,\n')}]`
      const parts = elements.map(one => Buffer.from(one.json.trim()))
      return { ...body(json, elements.every(one => one.isValid) ? 200 : 400), parts }
    })
  },
  'a sample with other values': line => changedSample(line).map(json => body(json, 200, 400)),
  // Not as an array: its elements are stored apart, and after the change it is not known which they are.
  'a sample with other bytes': line =>
    mutated(sample(line).map(text => Buffer.from(text)))
      .filter(bytes => !isJson(bytes) || !Array.isArray(JSON.parse(bytes.toString())))
      .map(bytes => body(bytes, 200, 400)),
  "another of Voicenter's interfaces": line =>
    fc.nat(2).map(n => {
      const popup = { phone: mobile(), ivrid: fresh(), status: 'Ringing' }
      if (n === 0) return body(quote({ ...popup, did: line }), 200, 400)
      if (n === 1) return body(quote(popup), 400)
      return body(quote({ ERROR_NUMBER: 0, CDR_LIST: [{ CallID: fresh() }] }), 400)
    }),
}

/** The number of a tenant, and messages and people that the program knows. */
export type Known = { phoneNumberId: string; wamids: string[]; waIds: string[] }
type Update = { field: string; value: string; mark: string }

/** The list that each webhook field has, and the names that the program reads in its elements. */
const SHAPES = [
  {
    field: 'messages',
    list: 'messages',
    names: 'from from_user_id type timestamp context text button interactive reaction system image',
  },
  {
    field: 'messages',
    list: 'statuses',
    names: 'status timestamp recipient_id biz_opaque_callback_data pricing errors conversation',
  },
  { field: 'user_preferences', list: 'user_preferences', names: 'wa_id user_id value category' },
  { field: 'smb_message_echoes', list: 'message_echoes', names: 'to to_user_id type text' },
]
/** An id without MARK repeats another update. The program counts it, and it is not found by its mark. */
const update = (
  { phoneNumberId, waIds }: Known,
  { field, list }: { field: string; list: string },
  id: string | null,
  fields: Fields,
  name = '',
): Update => {
  const mark = `mark${fresh()}`
  const own = named('id', quote(id?.replace('MARK', mark) ?? `wamid.${mark}`))
  const item = written([own, ...fields, named('mark', quote(mark))])
  const contacts = quote([{ wa_id: waIds[0], profile: { name } }])
  const metadata = quote({ phone_number_id: phoneNumberId })
  const value = `{"metadata":${metadata},"contacts":${contacts},"${list}":[${item}]}`
  return { field, value, mark: !id || id.includes('MARK') ? mark : '' }
}
/** Too long for any index, and so random that compression does not help. */
const longDigits = fc
  .array(fc.integer({ min: 100_000, max: 999_999 }), { minLength: 1500, maxLength: 2000 })
  .map(parts => parts.join(''))
const longText = fc
  .array(fc.integer({ min: 0x400, max: 0xfff }), { minLength: 3000, maxLength: 4000 })
  .map(units => String.fromCharCode(...units))

const anyUpdate = (known: Known): fc.Arbitrary<Update> =>
  fc
    .constantFrom(...SHAPES)
    .chain(shape => {
      const id = fc.oneof(fc.constant(null), anyText, fc.constantFrom(...known.wamids))
      return fc.tuple(fc.constant(shape), id, anyFields(words(shape.names), 6), anyText)
    })
    .map(([shape, id, fields, name]) => update(known, shape, id, fields, name))
/** Some of these fields, each with one of its extreme values. */
const extreme = (
  known: Known,
  list: 'messages' | 'statuses',
  id: fc.Arbitrary<string | null>,
  values: Record<string, fc.Arbitrary<string>>,
): fc.Arbitrary<Update> =>
  fc
    .tuple(id, fc.array(fc.constantFrom(...Object.keys(values)), { maxLength: 4 }))
    .chain(([id, names]) => {
      const always = list === 'messages' ? 'from' : 'status'
      const chosen = [...new Set([always, ...names])]
      const fields = chosen.map(name => (values[name] ?? anyJson).map(json => named(name, json)))
      return fc.tuple(fc.constant(id), fc.tuple(...fields))
    })
    .map(([id, fields]) => update(known, { field: 'messages', list }, id, fields))

const extremeMessage = (known: Known) => {
  const wrapped = (name: string, text: fc.Arbitrary<string>) =>
    text.map(value => quote({ [name]: value, user_id: value, message_id: value }))
  const writer = { arbitrary: fc.constantFrom(...known.waIds), weight: 4 }
  return extreme(known, 'messages', fc.option(longText.map(text => `MARK${text}`)), {
    from: fc.oneof(writer, longDigits, anyText).map(quote),
    from_user_id: fc.oneof(longText, anyText).map(quote),
    text: wrapped('body', anyText),
    context: wrapped('id', fc.oneof(fc.constantFrom(...known.wamids), longText)),
    type: words('text system edit revoke reaction constructor').map(quote),
    reaction: wrapped('emoji', anyText),
    system: wrapped('wa_id', fc.oneof(longDigits, anyText)),
  })
}
const extremeStatus = (known: Known) =>
  extreme(known, 'statuses', fc.option(fc.constantFrom(...known.wamids)), {
    status: words('sent delivered read failed played deleted __proto__').map(quote),
    timestamp: words('1e300 -1e300 "1e300" 1e18 -1 "now" "Infinity" 1e400'),
    errors: words('9007199254740991 2147483648 -1 131050 131026 1.5 "1"').map(
      code => `[{"code":${code}}]`,
    ),
    biz_opaque_callback_data: words('"1" "999999999999999999" "9999999999999999999" "-1" 1 "١"'),
    recipient_id: fc.oneof(fc.constantFrom(...known.waIds), longDigits).map(quote),
    pricing: fc.oneof(longText, anyText).map(category => quote({ category })),
  })
const templateUpdate = fc
  .record({
    event: words('PAUSED APPROVED constructor __proto__ toString'),
    message_template_name: fc.oneof(fc.constant('ringback_reminder_2'), longText, anyText),
    message_template_language: fc.oneof(fc.constant('he'), longText, anyText),
  })
  .map((value): Update => {
    const mark = `mark${fresh()}`
    return { field: 'message_template_status_update', value: quote({ ...value, mark }), mark }
  })

/** All of one account, which the program knows after the first. */
const envelope = (updates: Update[]): Buffer => {
  const changes = updates.map(({ field, value }) => `{"field":"${field}","value":${value}}`)
  return Buffer.from(
    `{"object":"whatsapp_business_account","entry":[{"id":"200","changes":[${changes.join()}]}]}`,
  )
}
const several = (one: fc.Arbitrary<Update>) => fc.array(one, { minLength: 1, maxLength: 5 })
const updates = (one: fc.Arbitrary<Update>): fc.Arbitrary<Hostile> =>
  several(one).map(all => ({
    ...body(envelope(all), 200),
    marks: all.map(({ mark }) => mark).filter(Boolean),
  }))

/** With a JSON value for X, and the mark for M. */
const MISSHAPEN = [
  '{"entry":X,"mark":"M"}',
  '{"entry":[X,{"changes":X}],"mark":"M"}',
  '{"entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[X,"M"]}}]}]}',
  '{"entry":[{"id":"1","changes":[{"field":"M","value":{"mark":"M","x":X}}]}]}',
  '{"entry":[{"id":"1","changes":[{"field":"__proto__","value":{"metadata":X,"mark":"M"}}]}]}',
  '["M",X]',
]
const NO_JSON = [
  '',
  '{',
  '"',
  '{"a":',
  "{'a':1}",
  '[1,]',
  '{}{}',
  nest(33, ''),
  '['.repeat(200_000),
]

/** Webhooks for a tenant's number, by kind. */
export const WEBHOOKS: Record<string, (known: Known) => fc.Arbitrary<Hostile>> = {
  'any value in any field': known => updates(anyUpdate(known)),
  'messages with extreme values': known => updates(extremeMessage(known)),
  'statuses with extreme values': known => updates(extremeStatus(known)),
  'template updates': () => updates(templateUpdate),
  'a wrong shape': () =>
    fc.tuple(fc.constantFrom(...MISSHAPEN), anyJson).map(([shape, json]) => {
      const mark = `mark${fresh()}`
      const text = shape.replaceAll('"M"', quote(mark)).replaceAll('X', () => json)
      return { ...body(text, 200), marks: [mark] }
    }),
  'no JSON': () =>
    fc
      .oneof(
        fc.constantFrom(...NO_JSON),
        fc.string({ unit: 'binary' }).map(text => `\xff${text}`),
      )
      .map(text => body(Buffer.from(text, 'latin1'), 200)),
  'updates with other bytes': known =>
    mutated(several(fc.oneof(anyUpdate(known), extremeMessage(known))).map(envelope)).map(bytes =>
      body(bytes, 200),
    ),
}
