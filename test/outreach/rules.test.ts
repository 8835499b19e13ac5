import t, { test } from 'tap'
import { firstAllowed, parseQuietWindow } from '../../app/outreach/quiet_hours.ts'
import {
  type ContactContext,
  decide,
  isTooLate,
  isTooOld,
  type PendingMessage,
  type SkipReason,
  type WhyWaiting,
  whyWaiting,
} from '../../app/outreach/rules.ts'
import { readPhone } from '../../app/phone.ts'
import { isCallbackPayload, isStopPayload, parseKeyword } from '../../app/replies/keywords.ts'
import {
  OPT_OUTS_ENGLISH,
  OPT_OUTS_HEBREW,
  OPT_OUTS_OTHER_LANGUAGES,
  REPLIES_ENGLISH,
  REPLIES_HEBREW,
  REPLIES_OTHER_LANGUAGES,
} from '../replies/sentences.ts'
import { LABELS } from '../../app/whatsapp/own_templates.ts'

const withCaller = (written: string | null): Partial<ContactContext> => ({
  caller: readPhone(written),
})

/** A caller who gets a message. */
const GOOD: ContactContext = {
  caller: readPhone('0502345678'),
  ownNumber: false,
  excluded: false,
  contactForeign: false,
  optedOut: false,
  mode: 'live',
  connection: 'active',
  contacted: false,
  late: false,
  reached: false,
  replied: false,
  ownerReplied: false,
}
const decided = (...facts: Partial<ContactContext>[]): string => {
  const { state, reason } = decide(Object.assign({}, GOOD, ...facts))
  return `${state} / ${reason}`
}

/** In the order of their priority. */
const REASONS: [reason: SkipReason, facts: Partial<ContactContext>][] = [
  ['withheld_number', withCaller('')],
  ['own_number', { ownNumber: true }],
  ['excluded', { excluded: true }],
  ['not_mobile', withCaller('031234567')],
  ['opted_out', { optedOut: true }],
  ['tenant_paused', { mode: 'paused' }],
  ['no_connection', { connection: null }],
  ['already_contacted', { contacted: true }],
  ['too_late', { late: true }],
]
const REACHED = { reached: true }
const REPLIED = { replied: true }
const PAUSED: Partial<ContactContext> = { connection: 'paused' }

await t.test('a caller gets a message if no reason applies', async t => {
  t.equal(decided(), 'scheduled / waiting')
  t.equal(decided({ mode: 'shadow' }), 'scheduled / waiting', 'shadow decides like live')
})

await t.test('each reason alone is enough', async t => {
  for (const [reason, facts] of REASONS) t.equal(decided(facts), `skipped / ${reason}`)
  t.equal(decided(REACHED), 'cancelled / reached_by_phone')
  t.equal(decided(REPLIED), 'cancelled / replied')
  t.equal(decided(PAUSED), 'scheduled / connection_paused')
})

await t.test('of two reasons, the first is stored', async t => {
  let pairs = 0
  for (const [i, [first, facts]] of REASONS.entries())
    for (const [second, more] of REASONS.slice(i + 1)) {
      // One caller cannot have both.
      if (facts.caller && more.caller) continue
      t.equal(decided(facts, more), `skipped / ${first}`, `${first} before ${second}`)
      pairs++
    }
  t.equal(pairs, 35)
})

await t.test(
  'a reason to skip comes before a talk, and a talk before a paused connection',
  async t => {
    for (const [reason, facts] of REASONS) {
      t.equal(decided(REACHED, facts), `skipped / ${reason}`, `${reason} before reached_by_phone`)
      t.equal(decided(REPLIED, facts), `skipped / ${reason}`, `${reason} before replied`)
      t.equal(decided(PAUSED, facts), `skipped / ${reason}`, `${reason} before connection_paused`)
    }
    t.equal(decided(PAUSED, REACHED), 'cancelled / reached_by_phone')
    t.equal(decided(REPLIED, REACHED), 'cancelled / reached_by_phone')
    t.equal(decided(PAUSED, REPLIED), 'cancelled / replied')
    t.equal(decided(PAUSED, { mode: 'shadow' }), 'scheduled / connection_paused')
  },
)

await t.test('with all reasons at once, each is stored until it no longer applies', async t => {
  const all = REASONS.filter(([reason]) => reason !== 'not_mobile')
  for (const [i, [reason]] of all.entries()) {
    const facts = all.slice(i).map(([, facts]) => facts)
    t.equal(decided(REACHED, ...facts), `skipped / ${reason}`)
  }
})

await t.test(
  'an Israeli mobile gets a message, also one that libphonenumber calls invalid',
  async t => {
    const mobiles = ['0502345678', '972523456789', '+972-54-234-5678', '0501234567', '0571234567']
    const palestinian = [
      '0599123456',
      '0561234567',
      '+970599123456',
      '+970561234567',
      '972599123456',
    ]
    for (const written of [...mobiles, ...palestinian])
      for (const contactForeign of [false, true])
        t.equal(decided(withCaller(written), { contactForeign }), 'scheduled / waiting', written)
  },
)

await t.test('a foreign number gets a message only where the tenant allows it', async t => {
  for (const written of ['+40376300329', '40376300329', '+14155550123', '+442079460958']) {
    const kind = readPhone(written).kind
    t.equal(kind, 'number', `${written} is read`)
    t.equal(decided(withCaller(written)), 'skipped / not_mobile', written)
  }
  const foreign = { contactForeign: true }
  t.equal(decided(withCaller('+40376300329'), foreign), 'scheduled / waiting')
  t.equal(decided(withCaller('40376300329'), foreign), 'scheduled / waiting')
  for (const written of ['+999123456789', '+4012', '+14155', '+1555'])
    t.equal(decided(withCaller(written), foreign), 'skipped / not_mobile', `${written}: no number`)
  t.equal(
    decided({ caller: { kind: 'number', e164: '+40999999999' }, contactForeign: true }),
    'skipped / not_mobile',
    'a number that does not exist',
  )
})

await t.test('any other caller is no mobile', async t => {
  const landlines = ['031234567', '021234567', '0722776772', '0702246666', '+97231234567']
  const others = ['1800123456', '*2700', '2700', '100', 'KGpK4iWq', 'Queue 0501234567', '12345678']
  for (const written of [...landlines, ...others])
    for (const contactForeign of [false, true])
      t.equal(decided(withCaller(written), { contactForeign }), 'skipped / not_mobile', written)
})

await t.test('a withheld number differs from text that is no number', async t => {
  for (const written of ['', null, '0', '-1', 'anonymous', 'חסוי', '0000000000'])
    t.equal(decided(withCaller(written)), 'skipped / withheld_number', String(written))
})

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const THEN = new Date('2026-11-16T12:00:00Z')
const after = (ms: number): Date => new Date(THEN.getTime() + ms)

for (const [name, isTooMuch] of [
  ['a call is too old', isTooOld],
  ['a message is too late', isTooLate],
] as const)
  await t.test(`${name} after its limit, and not before`, async t => {
    const rows: [passed: number, limit: number, wanted: boolean][] = [
      [0, 2 * HOUR, false],
      [2 * HOUR - 1, 2 * HOUR, false],
      [2 * HOUR, 2 * HOUR, false],
      [2 * HOUR + 1, 2 * HOUR, true],
      [30 * MINUTE, 30 * MINUTE, false],
      [30 * MINUTE + 1, 30 * MINUTE, true],
      [365 * 24 * HOUR, 6 * HOUR, true],
      [0, 0, false],
      [1, 0, true],
      // A time in the future.
      [-1, 0, false],
      [-HOUR, 30 * MINUTE, false],
    ]
    for (const [passed, limit, wanted] of rows)
      t.equal(isTooMuch(after(passed), THEN, limit), wanted, `${passed} ms of ${limit}`)
  })

await t.test('the hour in which clocks are set back counts like any other', async t => {
  const before = new Date('2026-10-25T01:30:00+03:00')
  const now = new Date('2026-10-25T01:31:00+02:00')
  t.equal(isTooOld(now, before, HOUR), true)
  t.equal(isTooLate(now, before, 61 * MINUTE), false)
})

// Why a message has not been sent yet: reasons that a person can act on come first.

const now = new Date('2026-11-15T12:00:00Z')
const due: PendingMessage = {
  kind: 'initial',
  phone: null,
  dueAt: new Date('2026-11-15T11:59:00Z'),
  now,
  mode: 'live',
  quietWindows: [],
  reminderQuietWindows: [],
  timezone: 'Asia/Jerusalem',
  location: 'Tel Aviv',
  connection: 'active',
  templatePaused: false,
  isMarketing: false,
  before: null,
  isInCall: false,
  isUnread: false,
  jobDead: false,
}
const later = new Date('2026-11-15T12:02:00Z')

const CASES: [string, Partial<PendingMessage>, WhyWaiting][] = [
  ['it is due and nothing is in its way', {}, 'any_moment'],
  ['its time has not come', { dueAt: later }, 'not_yet'],
  ['it is due this very moment', { dueAt: now }, 'any_moment'],
  ['now is in a quiet window', { quietWindows: ['13:00-16:00'] }, 'quiet'],
  ['the quiet hours are over', { quietWindows: ['21:00-14:00'] }, 'any_moment'],
  ['reminders have further windows', { reminderQuietWindows: ['13:00-16:00'] }, 'any_moment'],
  [
    'now is in a quiet window of reminders',
    { kind: 'reminder_1', before: 'read', reminderQuietWindows: ['13:00-16:00'] },
    'quiet',
  ],
  [
    'a notice answers what a person did',
    { kind: 'owner_notice', quietWindows: ['13:00-16:00'] },
    'any_moment',
  ],
  ['due before the quiet hours end', { dueAt: later, quietWindows: ['13:00-16:00'] }, 'quiet'],
  ['due when they end', { dueAt: later, quietWindows: ['13:00-14:02'] }, 'quiet'],
  ['due after the quiet hours', { dueAt: later, quietWindows: ['13:00-14:01'] }, 'not_yet'],
  ['the number is paused', { connection: 'paused' }, 'connection_paused'],
  [
    'the connection is paused, and it is not due',
    { connection: 'paused', dueAt: later },
    'connection_paused',
  ],
  ['there is no number', { connection: null }, 'no_connection'],
  ['the template is paused', { templatePaused: true }, 'template_paused'],
  [
    'free text needs no template',
    { templatePaused: true, kind: 'opt_out_confirmation' },
    'any_moment',
  ],
  [
    'a reminder whose first message was not reported as sent',
    { kind: 'reminder_1', before: 'accepted' },
    'previous_not_sent',
  ],
  [
    'a reminder after a message that was read',
    { kind: 'reminder_2', before: 'read' },
    'any_moment',
  ],
  ['the person is on the line', { isInCall: true }, 'in_call'],
  ['they wrote', { isUnread: true }, 'unread'],
  ['they wrote, and it is not due', { isUnread: true, dueAt: later }, 'not_yet'],
  ['they are, and it is not due', { isInCall: true, dueAt: later }, 'in_call'],
  ['the business is paused', { mode: 'paused', connection: 'paused' }, 'tenant_paused'],
  ['the business tries it out', { mode: 'shadow', connection: null }, 'shadow'],
  ['its job failed to the end', { jobDead: true, mode: 'paused' }, 'job_dead'],
]

for (const [name, facts, why] of CASES)
  t.test(name, async t => t.equal(whyWaiting({ ...due, ...facts }), why))

// Quiet windows in local time: which due times are moved, and to when.

const NIGHT = '21:00-08:00'
const NOON = '13:00-15:00'
const SABBATH = 'fri 15:00-sat 20:30'
const ISRAEL = 'Asia/Jerusalem'

/** [name, windows, due, expected], with the offset of that place and day. Without `expected`, the time stays. */
type Case = [name: string, windows: string[], due: string, end?: string]

/** November 2026: the 20th is a Friday, Israel is at +02:00. */
const ORDINARY: Case[] = [
  ['without windows nothing moves', [], '2026-11-20T23:00+02:00'],
  ['in the evening, over midnight', [NIGHT], '2026-11-17T22:00+02:00', '2026-11-18T08:00+02:00'],
  ['after midnight, the same day', [NIGHT], '2026-11-18T03:00+02:00', '2026-11-18T08:00+02:00'],
  ['at the very start it is quiet', [NIGHT], '2026-11-17T21:00+02:00', '2026-11-18T08:00+02:00'],
  ['a moment before it is not', [NIGHT], '2026-11-17T20:59:59.999+02:00'],
  ['at the very end it is over', [NIGHT], '2026-11-18T08:00+02:00'],
  [
    'a millisecond before its end',
    [NIGHT],
    '2026-11-18T07:59:59.999+02:00',
    '2026-11-18T08:00+02:00',
  ],
  ['by day nothing moves', [NIGHT], '2026-11-17T12:00+02:00'],
  ['at noon, within a day', [NOON], '2026-11-17T14:59+02:00', '2026-11-17T15:00+02:00'],
  ['outside of noon', [NOON], '2026-11-17T12:59+02:00'],
  ['until midnight', ['18:00-00:00'], '2026-11-17T23:59+02:00', '2026-11-18T00:00+02:00'],
  ['from midnight', ['00:00-06:30'], '2026-11-18T00:00+02:00', '2026-11-18T06:30+02:00'],
  ['on Friday afternoon', [SABBATH], '2026-11-20T15:00+02:00', '2026-11-21T20:30+02:00'],
  ['on Saturday', [SABBATH], '2026-11-21T20:29+02:00', '2026-11-21T20:30+02:00'],
  ['on Saturday night it is over', [SABBATH], '2026-11-21T20:30+02:00'],
  ['on Friday before it begins', [SABBATH], '2026-11-20T14:59+02:00'],
  ['on any other day', [SABBATH], '2026-11-18T16:00+02:00'],
  [
    'over the end of the week',
    ['sun 22:00-mon 06:00'],
    '2026-11-22T23:00+02:00',
    '2026-11-23T06:00+02:00',
  ],
  [
    'and after the end of the week',
    ['sun 22:00-mon 06:00'],
    '2026-11-23T05:00+02:00',
    '2026-11-23T06:00+02:00',
  ],
  [
    'a week without one hour',
    ['wed 10:00-wed 09:00'],
    '2026-11-18T10:00+02:00',
    '2026-11-25T09:00+02:00',
  ],
  ['and in that hour', ['wed 10:00-wed 09:00'], '2026-11-18T09:30+02:00'],
]

/** One window ends in another, or when another begins. */
const JOINED: Case[] = [
  [
    'the end of one is the start of the next',
    ['20:00-21:00', NIGHT],
    '2026-11-17T20:10+02:00',
    '2026-11-18T08:00+02:00',
  ],
  [
    'in the other order',
    [NIGHT, '20:00-21:00'],
    '2026-11-17T20:10+02:00',
    '2026-11-18T08:00+02:00',
  ],
  [
    'one inside the other',
    ['22:00-23:00', NIGHT],
    '2026-11-17T22:10+02:00',
    '2026-11-18T08:00+02:00',
  ],
  [
    'Saturday ends in the night',
    ['fri 15:00-sat 21:30', NIGHT],
    '2026-11-20T16:00+02:00',
    '2026-11-22T08:00+02:00',
  ],
  [
    'Saturday ends before the night',
    [SABBATH, NIGHT],
    '2026-11-20T22:00+02:00',
    '2026-11-21T20:30+02:00',
  ],
  [
    'a chain through several days',
    ['08:00-20:59', NIGHT],
    '2026-11-17T09:00+02:00',
    '2026-11-17T20:59+02:00',
  ],
]

/** Israel goes to summer time on 27 March at 02:00, and back on 25 October at 02:00. */
const CLOCKS: Case[] = [
  ['a night of ten hours', [NIGHT], '2026-03-26T22:00+02:00', '2026-03-27T08:00+03:00'],
  ['a night of twelve hours', [NIGHT], '2026-10-24T21:00+03:00', '2026-10-25T08:00+02:00'],
  ['the Sabbath into summer', [SABBATH], '2026-03-27T15:00+03:00', '2026-03-28T20:30+03:00'],
  [
    'over the change into summer',
    ['thu 20:00-sat 20:30'],
    '2026-03-26T21:00+02:00',
    '2026-03-28T20:30+03:00',
  ],
  [
    'over the change into winter',
    ['sat 20:00-sun 20:30'],
    '2026-10-24T21:00+03:00',
    '2026-10-25T20:30+02:00',
  ],
  // 02:30 does not exist; it counts as 03:30.
  ['an end that is left out', ['22:00-02:30'], '2026-03-27T01:00+02:00', '2026-03-27T03:30+03:00'],
  // 01:30 comes twice. The window ends the first time.
  ['an end that comes twice', ['22:00-01:30'], '2026-10-25T01:10+03:00', '2026-10-25T01:30+03:00'],
  ['and the second time', ['22:00-01:30'], '2026-10-25T01:10+02:00'],
  ['within the hour that comes twice', [NIGHT], '2026-10-25T01:30+03:00', '2026-10-25T08:00+02:00'],
  ['and in its second half', [NIGHT], '2026-10-25T01:30+02:00', '2026-10-25T08:00+02:00'],
]

const check = (name: string, zone: string, cases: Case[]) =>
  test(name, async t => {
    for (const [what, windows, due, end = due] of cases)
      t.equal(
        firstAllowed(new Date(due), {
          windows,
          timezone: zone,
          location: 'Tel Aviv',
        }).toISOString(),
        new Date(end).toISOString(),
        what,
      )
  })

await check('a moment in a quiet window becomes its end', ISRAEL, ORDINARY)
await check('windows that join are left through the last', ISRAEL, JOINED)
await check('on the nights the clocks change, eight stays eight', ISRAEL, CLOCKS)
await check("the windows are on the tenant's own clock", 'America/New_York', [
  ['evening there', [NIGHT], '2026-11-17T22:00-05:00', '2026-11-18T08:00-05:00'],
  ['evening in Israel', [NIGHT], '2026-11-17T22:00+02:00'],
  ['their change into winter', [NIGHT], '2026-10-31T22:00-04:00', '2026-11-01T08:00-05:00'],
  ['their Friday', [SABBATH], '2026-11-21T02:00+02:00', '2026-11-21T20:30-05:00'],
])

await test('text that is no window is refused, and the error shows it', async t => {
  for (const written of [
    '',
    '21:00',
    '21:00-21:00',
    'fri 15:00-fri 15:00',
    '24:00-08:00',
    '21:60-08:00',
    '9:00-17:00',
    '21:00 - 08:00',
    'fri 15:00-20:30',
    'Shabbat',
    'holiday',
    '15:00-sat 20:30',
    'Fri 15:00-Sat 20:30',
    'xyz 15:00-sat 20:30',
    'friday 15:00-saturday 20:30',
    '21:00-08:00,13:00-15:00',
    '21:00-08:00\n',
    '-1:00-08:00',
  ])
    t.throws(
      () => parseQuietWindow(written),
      {
        message: `a quiet window: expected 21:00-08:00, "fri 15:00-sat 20:30", shabbat or holidays, found "${written}"`,
      },
      JSON.stringify(written),
    )
  const quiet = { windows: ['21:00'], timezone: ISRAEL, location: 'Tel Aviv' }
  t.throws(() => firstAllowed(new Date(), quiet), /quiet window/)
})

await test('windows that cover the whole week delay a message for weeks', async t => {
  const now = new Date('2026-11-22T10:00:00Z')
  for (const windows of [
    ['08:00-20:00', '20:00-08:00'],
    ['sun 00:00-thu 00:00', 'wed 00:00-sun 00:00'],
  ])
    t.ok(
      firstAllowed(now, { windows, timezone: ISRAEL, location: 'Tel Aviv' }) > now,
      windows.join(),
    )
})

// Which whole messages are an opt-out, and which take it back.

const ENGLISH = [
  'stop',
  'stopall',
  'stop all',
  'unsubscribe',
  'opt out',
  'optout',
  'remove',
  'remove me',
  'revoke',
  'end',
  'quit',
  'cancel',
]
const HEBREW = [
  'הסר',
  'הסירו',
  'הסרה',
  'להסרה',
  'להסיר',
  'הסר אותי',
  'הסירו אותי',
  'תסיר אותי',
  'תסירי אותי',
  'תסירו אותי',
  'עצור',
  'עצרו',
  'הפסק',
  'הפסיקו',
  'תפסיקו',
  'די',
  'סטופ',
]
const BACK = ['start', 'unstop', 'subscribe', 'התחל', 'הצטרף']

/** Ways in which people and phones decorate a word. */
const dressed = (word: string): string[] => [
  word,
  word.toUpperCase(),
  `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`,
  ` ${word} `,
  `${word}.`,
  `${word}!!!`,
  `*${word}*`,
  `"${word}"`,
  `_${word}_`,
  `${word} 🛑`,
  `🙏🏽 ${word} 🙏🏽`,
  `\n${word}\r\n`,
  `\u200f${word}\u200f`,
  `\u2067${word}\u2069`,
  `\u202b${word}\u202c`,
  `\ufeff${word}\ufe0f`,
  word.replaceAll(' ', '  '),
  word.replaceAll(' ', '\u00a0'),
  word.replaceAll(' ', '-'),
]

for (const [wanted, words] of [
  ['stop', [...ENGLISH, ...HEBREW]],
  ['start', BACK],
] as const)
  for (const word of words)
    await test(`"${word}" means ${wanted}, also with decoration`, async t => {
      for (const written of dressed(word))
        t.equal(parseKeyword(written), wanted, JSON.stringify(written))
      for (const longer of [`${word} tomorrow`, `לא ${word}`, `${word}ish`, `x${word}`])
        t.equal(parseKeyword(longer), null, `${longer}: only the whole message counts`)
    })

await test('different Unicode forms of a word are the same', async t => {
  for (const written of [
    '*STOP*',
    'הסר.',
    'הָסֵר',
    'STOP 🛑',
    '\u2067הסר\u2069',
    'ｓｔｏｐ',
    'Opt-Out',
  ])
    t.equal(parseKeyword(written), 'stop', written)
  for (const written of ['START!', 'הִתְחֵל', '\u200eהצטרף\u200e'])
    t.equal(parseKeyword(written), 'start', written)
})

await test('a keyword within a sentence is an ordinary reply', async t => {
  for (const written of [
    'please stop by tomorrow',
    'stop, o Zé não vem',
    'לא להסיר',
    'די טוב',
    'לא מעוניין',
    'לא מעוניינת',
    'yes',
    'כן',
    'לא',
    'stop start',
    'I want to start on Sunday',
    'אפשר להתחיל מחר?',
    'the end',
    'cancel my appointment',
    'הסר אותי מהתור של מחר',
    'היי אין צורך\nלהסיר אותי',
  ])
    t.equal(parseKeyword(written), null, written)
})

await test('an empty text is no keyword', async t => {
  for (const written of ['', ' ', '.', '🛑', '\u200f', '\ufe0f', '\u05b0'])
    t.equal(parseKeyword(written), null, JSON.stringify(written))
})

await test('sentences that say "send me nothing more" are opt-outs, also with decoration', async t => {
  for (const sentences of [OPT_OUTS_ENGLISH, OPT_OUTS_HEBREW]) {
    t.ok(new Set(sentences).size >= 150, `${sentences.length} sentences`)
    for (const sentence of sentences) {
      const [bare = ''] = dressed(sentence)
      for (const written of [
        bare,
        bare.toUpperCase(),
        `${bare}!!`,
        `*${bare}*`,
        `\u200f${bare}\u200f`,
      ])
        t.equal(parseKeyword(written), 'stop', JSON.stringify(written))
      for (const polite of [
        `please ${bare}`,
        `${bare} 🙏 thanks`,
        `שלום, ${bare}`,
        `${bare}\nתודה רבה`,
      ])
        t.equal(parseKeyword(polite), 'stop', JSON.stringify(polite))
      t.equal(parseKeyword(`${bare}?`), null, `${bare}?`)
      t.equal(parseKeyword(`${bare} tomorrow at 5`), null, `${bare}: only the whole message counts`)
    }
  }
})

await test('a negation, a question, and such a word about something else are replies', async t => {
  for (const sentences of [REPLIES_ENGLISH, REPLIES_HEBREW]) {
    t.ok(new Set(sentences).size >= 150, `${sentences.length} sentences`)
    for (const sentence of sentences)
      for (const written of [
        sentence,
        sentence.toUpperCase(),
        `${sentence} 🙏`,
        `please ${sentence}`,
      ])
        t.equal(parseKeyword(written), null, JSON.stringify(written))
  }
})

await test('opt-outs and replies in Arabic and Russian are told apart', async t => {
  for (const written of OPT_OUTS_OTHER_LANGUAGES) t.equal(parseKeyword(written), 'stop', written)
  for (const written of REPLIES_OTHER_LANGUAGES) t.equal(parseKeyword(written), null, written)
})

await test('the label of our button "stop" may be typed, in each language', async t => {
  for (const { stop } of LABELS)
    for (const written of [stop, stop.toUpperCase(), `${stop}!`, `please ${stop}`])
      t.equal(parseKeyword(written), 'stop', written)
})

await test('an opt-in is as clear as an opt-out', async t => {
  const OPT_INS = `START, please start, start again, opt in, opt me back in, subscribe me again, put me back on the list
    start sending me messages again, resume messages, התחל בבקשה, התחילי, התחילו, תתחיל, תתחילי
    תתחילו, הצטרפי, הצטרפו, תחזירו אותי לרשימה, תחזרו לשלוח לי הודעות, תתחילו לשלוח לי הודעות`
  for (const written of OPT_INS.trim().split(/\s*[,\n]\s*/))
    t.equal(parseKeyword(written), 'start', written)
  const REPLIES = `start?, start tomorrow, do not start, let's start, when do we start, start the treatment, join, resume
    subscribe my wife, subscribe to what, put me on the list, להתחיל, מתחילים, התחל מחר, אל תתחילו, לא התחל, רוצה להצטרף
    תוסיפו אותי לרשימה, מתי אפשר להתחיל, תשלחו לי הודעה, להצטרף, הרשמה, הרשמה לקורס, התחיל, הצטרפו אלינו, מתחיל, אל תתחיל
    תתחילו בלעדיי, התחילו מחר, התחלה, תתחילו לעבוד`
  for (const written of REPLIES.trim().split(/\s*[,\n]\s*/))
    t.equal(parseKeyword(written), null, written)
})

await test('a tapped button says stop by its payload', async t => {
  const STOPS = `STOP, stop, ringback:stop, RINGBACK:STOP, Stop promotions, Stop\u00a0promotions, STOP_PROMOTIONS, ｓｔｏｐ
    \u200fהסר, \u200fringback:stop\u200e, ringback:stop\u00a0, UNSUBSCRIBE, Opt-out, הסר, הפסקת מבצעים, \u2067הפסקת מבצעים\u2069`
  for (const payload of [
    ...STOPS.split(/,\s|\n\s*/),
    ' הפסקת מבצעים ',
    ...LABELS.map(({ stop }) => stop),
  ])
    t.ok(isStopPayload(payload), JSON.stringify(payload))
  // A button "cancel" is about an appointment.
  const OTHERS = `ringback:callback, STOPPER, cancel, CANCEL, end, לבטל, button-1, stop?, stop_1, don't stop, non_stop, START, לא להסיר
    ringback:stop:1, remove_item, unsubscribed_at, bus stop, הסרת לק`
  for (const payload of [undefined, '', '\u200f', ...OTHERS.split(/,\s|\n\s*/)])
    t.equal(isStopPayload(payload), false, String(payload))
})

await test('a tapped button asks for a call by its payload, or by our label', async t => {
  for (const payload of [
    'ringback:callback',
    ' RINGBACK:CALLBACK ',
    '\u200fringback:callback',
    'חזרו אליי',
    '\u200fחזרו\u00a0אליי',
    'Call me back',
  ])
    t.ok(isCallbackPayload(payload), payload)
  for (const payload of [undefined, '', 'ringback:stop', 'callback', 'call me back tomorrow'])
    t.equal(isCallbackPayload(payload), false, String(payload))
})

await test('no text takes long to read', async t => {
  const UNITS = [
    'stop ',
    'stop messages ',
    'stop texting me again ',
    'the ',
    'me ',
    'די ',
    'אני רוצה ',
    'אל תשלחו לי יותר ',
    'S.',
    'no need to remove me ',
    'remove all whatsapp messages ',
    'off every single list ',
    'הסר את כל ההודעות נוספות ',
    'מכל הרשימות ',
    'וואטצאפ ',
    'не писать мне больше ',
    'не присылайте мне больше сообщений от вас ',
    'больше мне не пишите ',
    'لا ترسلوا لي رسائل بعد الان ',
    'permanently remove me ',
    'המשך יום טוב ',
    'תודה רבה על ההודעה ',
  ]
  for (const unit of UNITS)
    for (const end of ['', 'x', ' zz']) {
      const text = unit.repeat(250).slice(0, 250 - end.length) + end
      const started = performance.now()
      parseKeyword(text)
      t.ok(performance.now() - started < 2000, JSON.stringify(unit + end))
      t.equal(parseKeyword(`stop ${text}`), null, 'a long message is a reply')
    }
})
