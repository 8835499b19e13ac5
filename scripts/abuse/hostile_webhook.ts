/** Hostile bodies for the door of WhatsApp's webhooks, signed as Meta signs: hostile_cdr.ts for the other door. */
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { fresh, type Hostile } from './hostile_cdr.ts'
import { brokenJson, mutated, strangeJson, strangeName, strangeText } from './strange.ts'

/** What is hostile about whom: the number that is ours, and the messages and people that are known to it. */
export type Target = { phoneNumberId: string; wamids: string[]; waIds: string[] }

export type HostileWebhook = Hostile & {
  /** Words by which each of its updates is found again; none where nobody can tell what it became. */
  marks: string[]
}

const JSON_TYPE = { 'content-type': 'application/json' }

const webhook = (kind: string, bytes: Buffer, marks: string[] = []): HostileWebhook => ({
  kind,
  bytes,
  headers: JSON_TYPE,
  fits: [200],
  parts: [bytes],
  marks,
})

/** The lists of each of Meta's fields, and the names in an element that a reader of it looks at. */
const SHAPES: { field: string; list: string; names: string[] }[] = [
  {
    field: 'messages',
    list: 'messages',
    names: [
      'from',
      'from_user_id',
      'type',
      'timestamp',
      'context',
      'text',
      'button',
      'interactive',
      'reaction',
      'system',
      'image',
    ],
  },
  {
    field: 'messages',
    list: 'statuses',
    names: [
      'status',
      'timestamp',
      'recipient_id',
      'biz_opaque_callback_data',
      'pricing',
      'errors',
      'conversation',
    ],
  },
  {
    field: 'user_preferences',
    list: 'user_preferences',
    names: ['wa_id', 'user_id', 'value', 'category'],
  },
  {
    field: 'smb_message_echoes',
    list: 'message_echoes',
    names: ['to', 'to_user_id', 'type', 'text'],
  },
]

type Fields = [name: string, json: string][]
type Update = { field: string; value: string; mark: string }

const json = (value: unknown) => JSON.stringify(value)
const or = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

/** One change with one element, found again by its mark; `id` without it is a repeat, and only counted. */
const change = (
  { phoneNumberId, waIds: [waId = ''] }: Target,
  { field, list }: { field: string; list: string },
  id: string | null,
  fields: Fields,
  name: string,
): Update => {
  const mark = `mark${fresh()}`
  const item = [
    `"id":${json(id?.replace('MARK', mark) ?? `wamid.${mark}`)}`,
    ...fields.map(([name, value]) => `${json(name)}:${value}`),
    `"mark":"${mark}"`,
  ]
  const contacts = json([{ wa_id: waId, profile: { name } }])
  return {
    field,
    mark: !id || id.includes('MARK') ? mark : '',
    value: `{"metadata":${json({ phone_number_id: phoneNumberId })},"contacts":${contacts},"${list}":[{${item.join()}}]}`,
  }
}

/** Whatever may stand where, whether it makes sense there or not. */
const strangeChange = (target: Target): fc.Arbitrary<Update> =>
  fc
    .tuple(
      fc.constantFrom(...SHAPES).chain(shape =>
        fc.tuple(
          fc.constant(shape),
          fc.array(fc.tuple(fc.oneof(fc.constantFrom(...shape.names), strangeName), strangeJson), {
            maxLength: 6,
          }),
        ),
      ),
      fc.oneof(fc.constant(null), strangeText, fc.constantFrom(...target.wamids)),
      strangeText,
    )
    .map(([[shape, fields], id, name]) => change(target, shape, id, fields, name))

/** Of a length that no index takes, and so random that nothing shortens it. */
const longDigits = fc
  .array(fc.integer({ min: 100_000, max: 999_999 }), { minLength: 1500, maxLength: 2000 })
  .map(parts => parts.join(''))
const longText = fc
  .array(fc.integer({ min: 0x400, max: 0xfff }), { minLength: 3000, maxLength: 4000 })
  .map(units => String.fromCharCode(...units))

/** Somebody we know writes, with one thing about it that is extreme. */
const aimedMessage = (target: Target): fc.Arbitrary<Update> =>
  fc
    .tuple(
      fc.record(
        {
          from: fc.oneof(fc.constantFrom(...target.waIds), longDigits, strangeText),
          from_user_id: fc.oneof(longText, strangeText),
          text: strangeText.map(body => ({ body })),
          context: fc.oneof(fc.constantFrom(...target.wamids), longText).map(id => ({ id })),
          type: fc.constantFrom('text', 'system', 'edit', 'revoke', 'reaction', 'constructor'),
          reaction: strangeText.map(emoji => ({ emoji, message_id: emoji })),
          system: fc.oneof(longDigits, strangeText).map(wa_id => ({ wa_id, user_id: wa_id })),
        },
        { requiredKeys: [] },
      ),
      or(longText),
      strangeText,
    )
    .map(([{ from = target.waIds[0], ...item }, long, name]) =>
      change(
        target,
        { field: 'messages', list: 'messages' },
        long === undefined ? null : `MARK${long}`,
        Object.entries({ from, ...item }).map(([name, value]) => [name, json(value)]),
        name,
      ),
    )

/** A report on a message of ours, or on one that might be, with numbers out of every range. */
const aimedStatus = (target: Target): fc.Arbitrary<Update> =>
  fc
    .tuple(
      fc.constantFrom(null, ...target.wamids),
      fc.constantFrom('sent', 'delivered', 'read', 'failed', 'played', 'deleted', '__proto__'),
      or(
        fc.constantFrom('1e300', '-1e300', '"1e300"', '1e18', '-1', '"now"', '"Infinity"', '1e400'),
      ),
      or(fc.constantFrom('9007199254740991', '2147483648', '-1', '131050', '131026', '1.5', '"1"')),
      or(
        fc.constantFrom('"1"', '"999999999999999999"', '"9999999999999999999"', '"-1"', '1', '"١"'),
      ),
      or(fc.oneof(fc.constantFrom(...target.waIds), longDigits)),
      or(fc.oneof(longText, strangeText)),
    )
    .map(([id, status, timestamp, code, ours, recipient, category]) => {
      const fields: [string, string | undefined][] = [
        ['status', json(status)],
        ['timestamp', timestamp],
        ['errors', code && `[{"code":${code}}]`],
        ['biz_opaque_callback_data', ours],
        ['recipient_id', recipient && json(recipient)],
        ['pricing', category === undefined ? undefined : json({ category })],
      ]
      const given = fields.flatMap(([name, value]): Fields => (value ? [[name, value]] : []))
      return change(target, { field: 'messages', list: 'statuses' }, id, given, '')
    })

/** What Meta tells of a template; of ours, or of somebody's. */
const aimedTemplate = fc
  .tuple(
    fc.constantFrom('PAUSED', 'APPROVED', 'constructor', '__proto__', 'toString', ''),
    fc.oneof(fc.constant('ringback_reminder_2'), longText, strangeText),
    fc.oneof(fc.constant('he'), longText, strangeText),
  )
  .map(([event, message_template_name, message_template_language]): Update => {
    const mark = `mark${fresh()}`
    const value = { event, message_template_name, message_template_language, mark }
    return { field: 'message_template_status_update', value: json(value), mark }
  })

const update = (target: Target) =>
  fc.oneof(
    { arbitrary: strangeChange(target), weight: 4 },
    { arbitrary: aimedMessage(target), weight: 4 },
    { arbitrary: aimedStatus(target), weight: 4 },
    { arbitrary: aimedTemplate, weight: 1 },
  )

/** Always of one account, which thereby becomes known. */
const envelope = (updates: Update[]): Buffer =>
  Buffer.from(
    `{"object":"whatsapp_business_account","entry":[{"id":"200","changes":[${updates
      .map(({ field, value }) => `{"field":"${field}","value":${value}}`)
      .join()}]}]}`,
  )

/** A body that is JSON and yet no webhook, or one whose parts are not what they should be. */
const misshapen = strangeJson.chain(json =>
  fc
    .constantFrom<(mark: string) => string>(
      mark => `{"entry":${json},"mark":"${mark}"}`,
      mark => `{"entry":[${json},{"changes":${json}}],"mark":"${mark}"}`,
      mark =>
        `{"entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[${json},"${mark}"]}}]}]}`,
      mark =>
        `{"entry":[{"id":"1","changes":[{"field":"${mark}","value":{"mark":"${mark}","x":${json}}}]}]}`,
      mark =>
        `{"entry":[{"id":"1","changes":[{"field":"__proto__","value":{"metadata":${json},"mark":"${mark}"}}]}]}`,
      mark => `["${mark}",${json}]`,
    )
    .map(make => {
      const mark = `mark${fresh()}`
      return webhook('misshapen', Buffer.from(make(mark)), [mark])
    }),
)

const LIMIT = 4 * 1024 * 1024

/** @param large whether some are to be larger than what is read */
export const hostileWebhook = (target: Target, large = true): fc.Arbitrary<HostileWebhook> => {
  const updates = fc.array(update(target), { minLength: 1, maxLength: 5 })
  return fc.oneof(
    {
      weight: 500,
      arbitrary: updates.map(all =>
        webhook(
          'strange values',
          envelope(all),
          all.map(({ mark }) => mark).filter(mark => mark),
        ),
      ),
    },
    { weight: 150, arbitrary: misshapen },
    { weight: 100, arbitrary: brokenJson.map(bytes => webhook('no JSON', bytes)) },
    {
      weight: 300,
      arbitrary: mutated(updates.map(envelope)).map(bytes => webhook('changed bytes', bytes)),
    },
    {
      weight: 25,
      arbitrary: updates.map(all => ({
        ...webhook('gzip', gzipSync(envelope(all))),
        headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
        fits: [415],
        parts: [],
      })),
    },
    ...(large
      ? [
          {
            weight: 1,
            arbitrary: fc.constant(null).map(() => ({
              ...webhook('too large', Buffer.alloc(LIMIT + 1, 'x')),
              fits: [413],
              parts: [],
            })),
          },
        ]
      : []),
  )
}
