/** More inputs of each kind of fault (T1 to T16 of the public reports), in the form of the files in telephony/. */

type Fields = Record<string, unknown>
type Post = { body?: Fields; raw?: string; form?: boolean; contentType?: string }
type Missed = { outreach?: string; caller?: string; at?: number }
export type KindCase = {
  title: string
  tenant: { numbers: string[]; set?: string[] }
  posts: Post[]
  expect: {
    records?: ([string, string] | null)[]
    missed?: Missed[]
    mustNot?: string[]
  }
}

const LINE = '0722777001'
const DANA = '0502301234'
const YAEL = '0521234567'
const E164 = '+972502301234'
const WAITING = 'scheduled/waiting'
const REACHED = 'cancelled/reached_by_phone'
const WITHHELD = 'skipped/withheld_number'

let ids = 0
/** A CDR of a call that began so many seconds from now, as older accounts send it: without direction. */
const cdr = (seconds: number, fields: Fields = {}): Post => ({
  body: {
    caller: DANA,
    target: `972${LINE.slice(1)}`,
    duration: 0,
    type: 'Incoming Call',
    status: 'NOANSWER',
    targetextension: '',
    callerextension: '',
    did: LINE,
    queueid: 0,
    queuename: '',
    dialtime: 20,
    ivruniqueid: `{{head:${seconds}}}k${++ids}`,
    time: `{{n:shifted:${seconds}}}`,
    ...fields,
  },
})
const answered = (seconds: number, fields: Fields = {}): Post =>
  cdr(seconds, { status: 'ANSWER', targetextension: 'KGpK4iWq', duration: 300, ...fields })
const outgoing = (seconds: number, fields: Fields = {}): Post =>
  cdr(seconds, {
    type: 'Extension Outgoing',
    status: 'ANSWER',
    caller: LINE,
    target: DANA,
    did: '',
    callerextension: 'KGpK4iWq',
    duration: 300,
    ...fields,
  })
const forwarded = (seconds: number, fields: Fields = {}): Post =>
  cdr(seconds, { type: 'Auto forward', target: '0523456789', ...fields })
const id = (name: string, seconds: number): string => `{{head:${seconds}}}${name}`
const form = (post: Post): Post => ({
  ...post,
  form: true,
  contentType: 'application/x-www-form-urlencoded',
})

const one = (title: string, posts: Post[], expect: KindCase['expect']): KindCase => ({
  title,
  tenant: { numbers: [LINE, '036120001', '*2700', '1700123456'] },
  posts,
  expect,
})
const missedOnly = (title: string, post: Post, missed: Missed = {}): KindCase =>
  one(title, [post], { missed: [{ caller: E164, outreach: WAITING, ...missed }] })
const nobodyMissed = (title: string, post: Post, record: [string, string]): KindCase =>
  one(title, [post], { records: [record], missed: [] })
const london = (title: string, post: Post, missed: Missed): KindCase => ({
  ...missedOnly(title, post, missed),
  tenant: { numbers: [LINE], set: ['--timezone', 'Europe/London'] },
})

export const KINDS: KindCase[] = [
  // T1: a talk is a span.
  one(
    'T1 two members of a ring group miss the call that a third answers',
    [cdr(-402), answered(-400), cdr(-398)],
    {
      missed: [{ outreach: REACHED }, { outreach: REACHED }],
    },
  ),
  one('T1 a second line rings during a long talk', [answered(-900), cdr(-650)], {
    missed: [{ outreach: REACHED }],
  }),
  one('T1 glare: we call the person who calls us', [outgoing(-300, { duration: 60 }), cdr(-298)], {
    missed: [{ outreach: REACHED }],
  }),
  one(
    'T1 the ringing belongs to the span',
    [answered(-300, { duration: 30, dialtime: 60 }), cdr(-215)],
    {
      missed: [{ outreach: REACHED }],
    },
  ),
  one('T1 a call after the talk is new', [answered(-900, { duration: 60 }), cdr(-700)], {
    missed: [{ outreach: WAITING }],
  }),
  one(
    'T1 a talk without a duration lasts a minute',
    [answered(-400, { duration: '' }), cdr(-370), cdr(-200)],
    {
      missed: [{ outreach: REACHED }, { outreach: WAITING }],
    },
  ),
  one(
    'T1 calls before, in and after a talk',
    [cdr(-900), cdr(-500), answered(-600, { duration: 200 }), cdr(-120)],
    {
      missed: [{ outreach: REACHED }, { outreach: REACHED }, { outreach: WAITING }],
    },
  ),
  one('T1 the talk is with another person', [answered(-400, { caller: YAEL }), cdr(-300)], {
    missed: [{ outreach: WAITING }],
  }),
  one(
    'T1 a queue answers, and its duration is the waiting time',
    [
      cdr(-300, {
        type: 'Queue',
        status: 'ANSWER',
        targetextension: undefined,
        duration: 45,
        seconds_waiting_in_queue: 45,
      }),
      cdr(-250),
    ],
    { missed: [{ outreach: REACHED }] },
  ),
  one(
    'T1 an unanswered outgoing call is no talk',
    [outgoing(-400, { status: 'NOANSWER' }), cdr(-390)],
    {
      missed: [{ outreach: WAITING }],
    },
  ),

  // T2: voicemail is never a person.
  ...[
    { type: 'VoiceMail', status: 'ANSWER', isAnswer: 1 },
    { type: 'Queue', status: 'VOICEMAIL', isAnswer: 1 },
    { type: 'Incoming Call', status: 'Voice Mail' },
    { type: '11', status: 'ANSWERED' },
    { type: 'VOICE MAIL', status: 'VOICE_MAIL', extenUser: 'KGpK4iWq', direction: 'incoming' },
  ].map(fields =>
    one(
      `T2 ${JSON.stringify(fields)}`,
      [cdr(-260, { targetextension: 'KGpK4iWq', duration: 14, ...fields })],
      { records: [['missed', 'voicemail']], missed: [{ outreach: WAITING }] },
    ),
  ),
  one(
    'T2 another leg of the same call was answered',
    [
      cdr(-260, {
        type: 'VoiceMail',
        targetextension: 'KGpK4iWq',
        status: 'ANSWER',
        ivruniqueid: id('v', -260),
      }),
      answered(-250, { ivruniqueid: id('v', -260) }),
    ],
    {
      records: [
        ['answered', 'agent'],
        ['answered', 'agent'],
      ],
      mustNot: [WAITING],
    },
  ),

  // T3: every form of a time.
  ...[
    'plain_us',
    'plain_ms',
    'iso',
    'rfc',
    'ymd_slash',
    'ddmm',
    'ampm',
    'shifted_f',
    'shifted',
    'plain',
  ].map(written =>
    missedOnly(`T3 ${written}`, cdr(-5000, { time: `{{${written}:-5000}}` }), { at: -5000 }),
  ),
  ...['', 'null', '1999-12-31 23:59:59', '0', 'soon', '{{ddmm:7200}}', '{{iso:900}}'].map(time =>
    missedOnly(`T3 ${time}: the id says when`, cdr(-90_000, { time }), {
      at: -90_000,
      outreach: 'skipped/too_late',
    }),
  ),
  missedOnly(
    'T3 neither the time nor the id says when',
    cdr(0, { time: '-', ivruniqueid: 'abc' }),
    { at: 0 },
  ),
  missedOnly(
    'T3 ten digits of the id and a shifted time',
    cdr(-4000, {
      ivruniqueid: 'TEN',
      time: '{{n:shifted:-4000}}',
    }),
    {},
  ),

  // T4: the tenant's zone.
  ...['shifted', 'plain'].map(written =>
    london(
      `T4 ${written}`,
      cdr(-400, {
        ivruniqueid: `{{head@Europe/London:-400}}l${written}`,
        time: `{{n:${written}@Europe/London:-400}}`,
      }),
      { at: -400 },
    ),
  ),
  ...['ddmm', 'ymd_slash', 'ampm', 'iso'].map(written =>
    london(
      `T4 ${written}`,
      cdr(-400, { ivruniqueid: `z${written}`, time: `{{${written}@Europe/London:-400}}` }),
      { at: -400 },
    ),
  ),
  london(
    'T4 only the id',
    cdr(-400, { ivruniqueid: '{{head@Europe/London:-400}}only', time: '' }),
    { at: -400 },
  ),

  // T5: transfers without a root.
  missedOnly('T5 a manual transfer that names no root', cdr(-260, { type: 'XferCDR' })),
  missedOnly('T5 the root is a placeholder', forwarded(-260, { OriginalIvrUniqueID: 'null' })),
  missedOnly(
    'T5 the record names itself',
    forwarded(-260, { ivruniqueid: id('self', -260), OriginalIvrUniqueID: id('self', -260) }),
  ),
  ...['Auto forward', 'XferCDR', '23'].flatMap(type =>
    ['incoming', 'outgoing', 'internal'].map(direction =>
      missedOnly(`T5 ${type} ${direction} to our line`, forwarded(-260, { type, direction })),
    ),
  ),
  nobodyMissed(
    'T5 part of a call that we made',
    forwarded(-260, { direction: 'outgoing', OriginalIvrUniqueID: id('no', -270) }),
    ['not_inbound', 'internal'],
  ),
  missedOnly('T5 a busy mobile', forwarded(-260, { status: 'BUSY', direction: 'incoming' })),
  nobodyMissed('T5 the mobile was answered', forwarded(-260, { status: 'ANSWER', duration: 60 }), [
    'answered',
    'transfer',
  ]),
  nobodyMissed('T5 the number is not ours', forwarded(-260, { did: '0722999999' }), [
    'unmatched_number',
    'number_dialled',
  ]),
  nobodyMissed(
    'T5 the root has not arrived',
    forwarded(-260, { OriginalIvrUniqueID: id('no', -270) }),
    ['unknown', 'waiting_for_root'],
  ),

  // T6: chains.
  one(
    'T6 a chain of four',
    [
      cdr(-400, { type: 'Queue', status: 'TIMEOUT', ivruniqueid: id('c1', -400) }),
      forwarded(-380, { ivruniqueid: id('c2', -380), OriginalIvrUniqueID: id('c1', -400) }),
      forwarded(-350, { ivruniqueid: id('c3', -350), OriginalIvrUniqueID: id('c2', -380) }),
      forwarded(-320, {
        ivruniqueid: id('c4', -320),
        OriginalIvrUniqueID: id('c3', -350),
        status: 'ANSWER',
        duration: 50,
      }),
    ],
    { records: Array(4).fill(['answered', 'transfer']), mustNot: [WAITING] },
  ),
  one(
    'T6 no leg of the chain was answered',
    [
      cdr(-400, { type: 'Queue', status: 'TIMEOUT', ivruniqueid: id('d1', -400) }),
      forwarded(-380, { ivruniqueid: id('d2', -380), OriginalIvrUniqueID: id('d1', -400) }),
      forwarded(-350, { ivruniqueid: id('d3', -350), OriginalIvrUniqueID: id('d2', -380) }),
    ],
    {
      records: Array(3).fill(['missed', 'timeout']),
      missed: [{ caller: E164, outreach: WAITING }],
    },
  ),
  one(
    'T6 two records name each other',
    [
      forwarded(-400, { ivruniqueid: id('e1', -400), OriginalIvrUniqueID: id('e2', -390) }),
      forwarded(-390, { ivruniqueid: id('e2', -390), OriginalIvrUniqueID: id('e1', -400) }),
    ],
    { records: Array(2).fill(['missed', 'noanswer']), missed: [{ outreach: WAITING }] },
  ),
  one(
    'T6 a circle of three, answered',
    [
      forwarded(-400, { ivruniqueid: id('f1', -400), OriginalIvrUniqueID: id('f3', -380) }),
      forwarded(-390, { ivruniqueid: id('f2', -390), OriginalIvrUniqueID: id('f1', -400) }),
      forwarded(-380, {
        ivruniqueid: id('f3', -380),
        OriginalIvrUniqueID: id('f2', -390),
        status: 'ANSWER',
        duration: 9,
      }),
    ],
    { records: Array(3).fill(['answered', 'transfer']), mustNot: [WAITING] },
  ),
  one(
    'T6 an attended transfer inside CustomData',
    [
      cdr(-400, { ivruniqueid: id('g1', -400) }),
      cdr(-380, {
        type: 'XferCDR',
        ivruniqueid: id('g2', -380),
        CustomData: { OriginalIvrUniqueID: id('g1', -400) },
      }),
      cdr(-360, {
        type: 'Attended CDR leg2',
        status: 'ANSWER',
        duration: 9,
        ivruniqueid: id('g3', -360),
        CustomData: `{"OriginalIvrUniqueID":"${id('g2', -380)}"}`,
      }),
    ],
    { mustNot: [WAITING] },
  ),

  // T7: placeholders and shared ids.
  ...['-', 'none', 'undefined', '<nil>', 'N/A', '0', 'NULL', 'nil', null].map(nothing =>
    one(
      `T7 ${nothing} as root and as agent`,
      [
        cdr(-260, { OriginalIvrUniqueID: nothing, targetextension: nothing }),
        answered(-250, { caller: YAEL, OriginalIvrUniqueID: nothing }),
      ],
      {
        records: [
          ['missed', 'noanswer'],
          ['answered', 'agent'],
        ],
        missed: [{ caller: E164, outreach: WAITING }],
      },
    ),
  ),
  one(
    'T7 an answering machine names "null" as its agent',
    [cdr(-260, { status: 'ANSWER', extenUser: 'null', targetextension: '-' })],
    {
      records: [['answered', 'machine']],
    },
  ),
  one(
    'T7 two callers share a root that never arrives',
    [
      cdr(-260, { OriginalIvrUniqueID: 'unset' }),
      answered(-250, { caller: YAEL, OriginalIvrUniqueID: 'unset' }),
    ],
    {
      records: [
        ['missed', 'noanswer'],
        ['answered', 'agent'],
      ],
      missed: [{ caller: E164, outreach: WAITING }],
    },
  ),
  one(
    'T7 three callers share a CallID',
    [
      cdr(-260, { ivruniqueid: 'SAME' }),
      answered(-250, { ivruniqueid: 'SAME', caller: YAEL }),
      cdr(-240, { ivruniqueid: 'SAME', caller: '0541234567' }),
    ],
    {
      records: [
        ['missed', 'noanswer'],
        ['answered', 'agent'],
        ['missed', 'noanswer'],
      ],
      missed: [
        { caller: E164, outreach: WAITING },
        { caller: '+972541234567', outreach: WAITING },
      ],
    },
  ),
  one(
    'T7 another caller names an answered call as root',
    [
      answered(-300, { ivruniqueid: id('h1', -300), caller: YAEL }),
      cdr(-260, { OriginalIvrUniqueID: id('h1', -300) }),
    ],
    {
      records: [
        ['answered', 'agent'],
        ['missed', 'noanswer'],
      ],
      missed: [{ caller: E164, outreach: WAITING }],
    },
  ),

  ...['none.', 'not available', 'Not Applicable', 'no agent', 'לא ידוע', '\u200enull\u200e'].map(
    nothing =>
      missedOnly(
        `T7 ${nothing} as agent`,
        cdr(-260, { status: 'ABANDONE', isAnswer: 1, extenUser: nothing }),
      ),
  ),

  // T8: the caller on another record.
  ...[
    null,
    '',
    'anonymous',
    'null',
    '-1',
    LINE,
    '036120001',
    '1700123456',
    'KGpK4iWq',
    '101',
    '05023',
  ].map(hidden =>
    one(
      `T8 ${hidden} in the first record`,
      [
        cdr(-260, { ivruniqueid: id('w', -260), caller: hidden }),
        cdr(-250, { ivruniqueid: id('w', -260), type: 'Queue', status: 'ABANDONE' }),
      ],
      { missed: [{ caller: E164, outreach: WAITING }] },
    ),
  ),
  one(
    'T8 a landline is a customer, also if a later leg shows our line',
    [
      cdr(-260, { ivruniqueid: id('l', -260), caller: '031234567' }),
      cdr(-250, { ivruniqueid: id('l', -260), caller: '036120001', type: 'Queue' }),
    ],
    { missed: [{ caller: '+97231234567', outreach: 'skipped/not_mobile' }] },
  ),
  one(
    'T8 the forwarded leg names the caller',
    [
      cdr(-260, { ivruniqueid: id('x', -260), caller: '' }),
      forwarded(-250, { OriginalIvrUniqueID: id('x', -260) }),
    ],
    { missed: [{ caller: E164, outreach: WAITING }] },
  ),
  one(
    'T8 the answered leg does not name the caller',
    [
      cdr(-600),
      cdr(-500, { ivruniqueid: id('y', -500), type: 'Queue', status: 'TIMEOUT' }),
      answered(-490, { ivruniqueid: id('y', -500), caller: '' }),
    ],
    { mustNot: [WAITING] },
  ),

  ...['Auto forward', 'XferCDR'].flatMap(type =>
    [
      { caller: LINE, did: '' },
      { caller: '036120001', did: LINE },
    ].map(fields =>
      one(
        `T8 the answered leg, ${type}, shows our line ${fields.caller} as the caller`,
        [
          cdr(-900),
          cdr(-600, { ivruniqueid: id('z', -600), type: 'Queue', status: 'TIMEOUT' }),
          answered(-590, { type, ...fields, OriginalIvrUniqueID: id('z', -600) }),
        ],
        { mustNot: [WAITING] },
      ),
    ),
  ),

  // T9: our own line.
  ...[
    { did: 722777001 },
    { did: '972722777001' },
    { did: '+972-72-277-7001' },
    { did: 'sip:0722777001@voicenter.co' },
    { did: '"Main" <sip:+972722777001@pbx>' },
    { did: '*2700' },
    { did: '2700' },
    { did: 'sip:2700@pbx' },
    { did: '2700*' },
    { did: '36120001' },
    { did: '1700123456' },
    { did: '01700123456', target: '' },
    { did: '3-6120001', target: '' },
    { did: '(3) 612 0001', target: '' },
    { did: '36120001.0', target: '' },
    { did: '' },
    { did: null },
    { did: 'null' },
    { did: 'Main trunk' },
    { did: '', target: '0722777001' },
    { did: '', target: 'sip:972722777001@pbx' },
    { did: undefined },
  ].map(fields =>
    missedOnly(
      `T9 ${JSON.stringify(fields)} ${'did' in fields && fields.did === undefined ? 'absent' : ''}`,
      cdr(-260, fields),
    ),
  ),

  // T10: the queue calls back.
  ...[
    { target: '972502301234' },
    { target: '+972502301234', direction: 'incoming' },
    { did: '' },
    { targetextension: '', isAnswer: 1 },
    { caller: DANA, target: LINE },
    { caller: DANA, target: LINE, did: '' },
    { caller: DANA, target: `972${LINE.slice(1)}`, did: undefined },
    { caller: DANA, target: '036120001' },
    { caller: DANA, target: '*2700', did: '036120001' },
  ].map(fields =>
    one(
      `T10 ${JSON.stringify(fields)}`,
      [
        cdr(-900, { type: 'Queue', status: 'ABANDONE' }),
        cdr(-500, {
          type: 'Click 2 Queue Incoming',
          status: 'ANSWER',
          caller: LINE,
          target: DANA,
          duration: 120,
          ...fields,
        }),
      ],
      { missed: [{ outreach: REACHED }] },
    ),
  ),
  one(
    'T10 the customer did not answer',
    [
      cdr(-900, { type: 'Queue', status: 'ABANDONE' }),
      cdr(-500, { type: 'Click 2 Queue Incoming', status: 'NOANSWER', caller: LINE, target: DANA }),
    ],
    { missed: [{ outreach: WAITING }] },
  ),

  // T11: unanswered, although isAnswer is 1.
  ...['ABANDONE', 'NOANSWER', 'BUSY', 'CANCEL', 'TIMEOUT'].map(status =>
    one(
      `T11 ${status}`,
      [
        cdr(-300, {
          type: 'Queue',
          status,
          isAnswer: 1,
          duration: 45,
          seconds_waiting_in_queue: 45,
          targetextension: undefined,
        }),
      ],
      { records: [['missed', status.toLowerCase()]], missed: [{ outreach: WAITING }] },
    ),
  ),
  ...[{}, { seconds_waiting_in_queue: 45 }, { actualCallDuration: 0 }].map(fields =>
    missedOnly(
      `T11 only a duration, ${JSON.stringify(fields)}`,
      cdr(-300, {
        type: 'Queue',
        status: 'ABANDONE',
        isAnswer: 1,
        duration: 65,
        targetextension: undefined,
        ...fields,
      }),
    ),
  ),
  nobodyMissed(
    'T11 an agent is named',
    cdr(-300, { status: 'ABANDONE', isAnswer: 1, targetextension: 'KGpK4iWq' }),
    ['answered', 'agent'],
  ),
  nobodyMissed(
    'T11 a talk time is named',
    cdr(-300, {
      status: 'ABANDONE',
      isAnswer: 1,
      targetextension: undefined,
      actualCallDuration: 30,
      duration: 75,
      seconds_waiting_in_queue: 45,
    }),
    ['answered', 'talk_time'],
  ),

  // T12: internal calls.
  ...[
    {},
    { type: '' },
    { type: 'Queue' },
    { type: '1' },
    { type: 'VoiceMail', status: 'VOICEMAIL' },
    { direction: '-' },
  ].map(fields =>
    nobodyMissed(
      `T12 ${JSON.stringify(fields)}`,
      cdr(-260, { callerextension: 'WPGrStO1', ...fields }),
      ['not_inbound', 'internal'],
    ),
  ),
  ...['Auto forward', 'XferCDR'].flatMap(type => [
    nobodyMissed(
      `T12 ${type} that names no root`,
      forwarded(-260, { type, callerextension: 'WPGrStO1' }),
      ['not_inbound', 'internal'],
    ),
    missedOnly(
      `T12 ${type} with direction incoming`,
      forwarded(-260, { type, callerextension: 'WPGrStO1', direction: 'incoming' }),
    ),
    one(
      `T12 ${type} of a customer's call`,
      [
        cdr(-300, { ivruniqueid: id(`t12${type[0]}`, -300), type: 'Queue', status: 'TIMEOUT' }),
        forwarded(-260, {
          type,
          callerextension: 'WPGrStO1',
          status: 'ANSWER',
          OriginalIvrUniqueID: id(`t12${type[0]}`, -300),
        }),
      ],
      { records: Array(2).fill(['answered', 'transfer']), mustNot: [WAITING] },
    ),
  ]),
  missedOnly(
    'T12 with direction incoming it is a customer',
    cdr(-260, { callerextension: 'WPGrStO1', direction: 'incoming' }),
  ),
  missedOnly('T12 the extension is a placeholder', cdr(-260, { callerextension: 'null' })),

  // T13: number formats.
  ...[
    '"Dana" <sip:+972502301234@10.0.0.1>',
    '0502301234 <0502301234>',
    '<0502301234>',
    'Dana Levi <tel:050-230-1234>',
    '0972502301234',
    '972972502301234',
    '011972502301234',
    '+9720502301234',
    '00972-50-2301234',
    '+00972502301234',
    '"0502301234"',
    '%2B972502301234',
    '502301234.0',
  ].map(caller => missedOnly(`T13 ${caller}`, cdr(-260, { caller }))),
  ...['05023012345', '50230123', '12345678', 'Dana 0502301234', '0502301234 0521234567'].map(
    caller =>
      one(`T13 ${caller} stays ambiguous`, [cdr(-260, { caller })], {
        missed: [{ outreach: 'skipped/not_mobile' }],
      }),
  ),

  // T14: hidden callers. phone.test.ts has the whole table.
  ...[
    'No Caller ID',
    'מספר לא מזוהה',
    'Private number',
    '266696687',
    'ללא זיהוי',
    'sip:anonymous@anonymous.invalid',
  ].map(caller =>
    one(`T14 ${caller}`, [cdr(-260, { caller })], { missed: [{ outreach: WITHHELD }] }),
  ),

  // T15: bodies.
  ...[
    [
      'raw bytes',
      `ivruniqueid=${id('r1', -260)}&time={{shifted:-260}}&caller=${DANA}&did=${LINE}&type=Queue&status=ABANDONE&queuename=\u00ee\u00eb\u00e9\u00f8\u00e5\u00fa`,
    ],
    ...['\u0096', '\u0092', '\u00a4', '\u00a0', '\u00d7', '\u00ff'].map((sign, i) => [
      `a single ${sign.codePointAt(0)}`,
      `ivruniqueid=${id(`r1${i}`, -260)}&time={{shifted:-260}}&caller=${DANA}&did=${LINE}&type=Queue&status=ABANDONE&queuename=A${sign}B`,
    ]),
  ].map(([name, raw]) => ({
    ...one(`T15 ${name}`, [{ raw: raw ?? '', contentType: 'latin1' }], {
      records: [['missed', 'abandone']],
    }),
  })),
  ...[1, 2].map(times => {
    const { body } = cdr(-260)
    let raw = JSON.stringify(body).replace(/"\{\{n:shifted:-260\}\}"/, '{{shifted:-260}}')
    for (let i = 0; i < times; i++) raw = JSON.stringify(raw)
    return one(`T15 JSON in a JSON string, ${times}`, [{ raw }], {
      missed: [{ caller: E164, outreach: WAITING }],
    })
  }),
  one(
    'T15 a JSON string in an array',
    [{ raw: JSON.stringify([JSON.stringify({ ...cdr(-260).body, time: '{{shifted:-260}}' })]) }],
    {
      missed: [{ caller: E164, outreach: WAITING }],
    },
  ),
  one(
    'T15 a form inside a JSON string',
    [
      {
        raw: JSON.stringify(
          `ivruniqueid=${id('r2', -260)}&time={{shifted:-260}}&caller=${DANA}&did=${LINE}&status=NOANSWER`,
        ),
      },
    ],
    {
      missed: [{ caller: E164, outreach: WAITING }],
    },
  ),
  one('T15 a form without anything unusual', [form(cdr(-260, { queuename: 'תור א' }))], {
    missed: [{ caller: E164, outreach: WAITING }],
  }),

  // T16: spellings of a status.
  ...[
    'no-answer',
    'no_answer',
    'NO ANSWER',
    'No-Answer',
    ' noanswer ',
    'No  Answer',
    'no\u2011answer',
    '\u200eNOANSWER',
    '\u200fNO ANSWER\u200f',
  ].map(status =>
    one(`T16 ${status}`, [cdr(-260, { status })], {
      records: [['missed', 'noanswer']],
      missed: [{ outreach: WAITING }],
    }),
  ),
  one('T16 chan_unavail', [cdr(-260, { status: 'chan_unavail' })], {
    records: [['missed', 'chanunavail']],
  }),
]
