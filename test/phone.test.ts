/** Reading phone numbers. */
import { test } from 'tap'
import {
  dialledLine,
  isIsraeliMobile,
  isValidForeign,
  lineOf,
  readPhone,
  spellings,
} from '../app/phone.ts'

const padded = (length: number) => '0502345678'.padEnd(length, '-')

const reads = (name: string, rows: Record<string, string>) =>
  test(name, t => {
    for (const [written, e164] of Object.entries(rows))
      t.same(readPhone(written), { kind: 'number', e164 }, written)
    t.end()
  })

const isKind = (name: string, kind: string, rows: (string | null | undefined)[]) =>
  test(name, t => {
    for (const written of rows) t.same(readPhone(written), { kind }, JSON.stringify(written))
    t.end()
  })

await reads('an Israeli number is read in every form Voicenter writes', {
  '0502345678': '+972502345678',
  '0523456789': '+972523456789',
  '0542345678': '+972542345678',
  '0531234567': '+972531234567',
  '972502345678': '+972502345678',
  '0722776772': '+972722776772',
  '972722776772': '+972722776772',
  '0732791800': '+972732791800',
  '0776707528': '+972776707528',
  '0747123456': '+972747123456',
  '031234567': '+97231234567',
  '97231234567': '+97231234567',
  '021234567': '+97221234567',
  '089123456': '+97289123456',
  '099123456': '+97299123456',
})

await reads('an Israeli number that libphonenumber calls invalid is still a number', {
  '0501234567': '+972501234567',
  '0521234567': '+972521234567',
  '0541234567': '+972541234567',
  '0511234567': '+972511234567',
  '0571234567': '+972571234567',
  '0581234567': '+972581234567',
  '0556234567': '+972556234567',
  '0702246666': '+972702246666',
  '0741234567': '+972741234567',
})

await reads('one number has one spelling, however it is written', {
  '972501234567': '+972501234567',
  '9720501234567': '+972501234567',
  '+972501234567': '+972501234567',
  '+9720501234567': '+972501234567',
  '00972501234567': '+972501234567',
  '009720501234567': '+972501234567',
  '501234567': '+972501234567',
  '722776772': '+972722776772',
  '+9720502345678': '+972502345678',
  '+972-(0)50-234-5678': '+972502345678',
  '(+972) 50 234 5678': '+972502345678',
  '+972.50.234.5678': '+972502345678',
  '050-234-5678': '+972502345678',
  ' 050 2345678\n': '+972502345678',
  '+0502345678': '+972502345678',
  'tel:+972-50-234-5678': '+972502345678',
  'tel:050-2345678;phone-context=+972': '+972502345678',
  'sip:0501234567@voicenter.co': '+972501234567',
  'SIP:0502345678@10.0.0.1;user=phone': '+972502345678',
  'sips:972502345678@voicenter.co': '+972502345678',
  '\u200f050-2345678\u200e': '+972502345678',
  '\u202a+972 50-234-5678\u202c': '+972502345678',
  '\ufeff0502345678\u2069': '+972502345678',
  '050\u00a0234\u20115678': '+972502345678',
  '０５０２３４５６７８': '+972502345678',
  '٠٥٠٢٣٤٥٦٧٨': '+972502345678',
  '۰۵۰۲۳۴۵۶۷۸': '+972502345678',
  '05٠2345678': '+972502345678',
})

await reads('a number is read with a name, a second country code or an exit code', {
  '"Dana" <sip:+972502345678@10.0.0.1>': '+972502345678',
  '0502345678 <0502345678>': '+972502345678',
  '"0502345678" <0502345678>': '+972502345678',
  '<tel:+972-50-234-5678>': '+972502345678',
  '"Unknown" <sip:0502345678@pbx>': '+972502345678',
  '"N/A" <0502345678>': '+972502345678',
  '"No Name" <0502345678>': '+972502345678',
  '"P" <0502345678>': '+972502345678',
  '"Noa" <0502345678>': '+972502345678',
  '"לאה" <0502345678>': '+972502345678',
  '"0502345678"': '+972502345678',
  '0972502345678': '+972502345678',
  '09720502345678': '+972502345678',
  '097231234567': '+97231234567',
  '+0972502345678': '+972502345678',
  '972972502345678': '+972502345678',
  '+972972502345678': '+972502345678',
  '00972972502345678': '+972502345678',
  '97297212345': '+97297212345', // a landline in 09
  '011972502345678': '+972502345678',
  '012972502345678': '+972502345678',
  '01114155550123': '+14155550123',
  '%2B972502345678': '+972502345678',
  '0502345678.0': '+972502345678',
})

await isKind('a hidden caller is recognised in every spelling', 'withheld', [
  'anonymous',
  'Anonymous',
  'ANON',
  'anonymous@anonymous.invalid',
  'sip:anonymous@anonymous.invalid',

  '"Anonymous" <sip:anonymous@anonymous.invalid>',
  '"Private" <sip:0502345678@pbx>',

  'Private',
  'private number',
  'Private Caller',
  'PRIVATE_NUMBER',
  'private-call',
  'Restricted',

  'unknown',
  'Unknown number',
  'Unknown Caller',
  'unavailable',
  'Number unavailable',
  'not available',

  'withheld',
  'Number withheld',
  'Caller ID withheld',
  'hidden',
  'hidden number',
  'blocked',
  'Blocked caller',

  'No Caller ID',
  'no number',
  'No ID',
  'no-caller-id',
  'NoCallerID',
  'PrivateNumber',
  'UnknownCaller',
  'NumberNotAvailable',
  'Anonymous1',
  'private 12',
  'sip:anonymous2@pbx',
  'anonymous-2',
  'Anonymous_12',
  'Out of Area',
  'out-of-area',
  'OUT_OF_AREA',
  'OutOfArea',
  'prohibited',
  'PRES_PROHIB',
  'prohib_not_screened',
  'The caller has withheld their number',
  'P',
  'O',
  'confidential',
  'undisclosed',
  'masked',

  'unidentified',
  'Not identified',
  'number not provided',
  'N/A',
  'N.A.',
  '#N/A',
  '#REF!',
  '\\N',
  'null',
  'none',
  'undefined',
  '<nil>',
  '-',
  '--',

  '-1',
  '0',
  '0000000000',
  '+0',
  '972000000000',
  '0500000000',
  '500000000',
  '972500000000',
  '+972500000000',
  '00972500000000',
  '0972500000000',
  '+972-50-0000000',
  '+972 (0)50-0000000',
  'sip:+972500000000@pbx',
  'zero',
  '""',
  '< >',
  '()',
  '[]',
  '{}',

  'חסוי',
  'מספר חסוי',
  'שיחה חסויה',
  'מזהה חסוי',
  'מתקשר חסוי',
  'מס׳ חסוי',
  'פרטי',
  'מספר פרטי',
  'מוסתר',

  'מספר מוסתר',
  'מספרחסוי',
  'חסוי1',
  'חסום',
  'מספר חסום',
  'לא ידוע',
  'מספר לא ידוע',
  'לא מזוהה',
  'שיחה לא מזוהה',
  'בלתי מזוהה',

  'ללא זיהוי',
  'ללא מספר',
  'אין מספר',
  'אנונימי',
  'מספר אנונימי',
  'לא זמין',
  'סודי',
  'אפס',
  '\u200fחסוי\u200e',
  'יוסח',
  'סמוי',
  'מספר סמוי',
  'אלמוני',
  'מתקשר אלמוני',
  'ממספר חסוי',
  'שיחה ממספר חסוי',
  'שיחה נכנסת חסויה',
  'לא ניתן לזיהוי',
  'חיוג חסוי',
  'מנוי חסוי',

  'Скрытый номер',
  'Номер скрыт',
  'Неизвестный абонент',
  'неизвестно',
  'номер не определён',
  'Не определен',
  'Нет номера',
  'Без номера',
  'Аноним',
  'Анонимный вызов',
  'رقم خاص',
  'رقم محجوب',
  'الرقم محجوب',
  'مجهول',
  'متصل مجهول',
  'غير معروف',
  'رقم غير معروف',
  'بدون رقم',

  // The keys that spell ANONYMOUS, RESTRICTED, PRIVATE, UNKNOWN, UNAVAILABLE, WITHHELD, BLOCKED.

  '266696687',
  '+266696687',
  'sip:266696687@pbx',
  '7378742833',
  '7748283',
  '8656696',
  '86282452253',
  '94844353',
  '2562533',
])

await reads('a Palestinian mobile keeps the country code it came with', {
  '0599123456': '+972599123456',
  '0569123456': '+972569123456',
  '972561234567': '+972561234567',
  '+970599123456': '+970599123456',
  '970599123456': '+970599123456',
  '970561234567': '+970561234567',
  '+9700599123456': '+970599123456',
  '00970599123456': '+970599123456',
})

await reads('a foreign number is read with a plus, 00, an exit code, or as bare digits', {
  '+40376300329': '+40376300329',
  '0040376300329': '+40376300329',
  '40376300329': '+40376300329',
  '01340376300329': '+40376300329',
  '01214155550123': '+14155550123',
  '01914155550123': '+14155550123',
  '012970599123456': '+970599123456',
  '14155550123': '+14155550123',
  '+1 (415) 555-0123': '+14155550123',
  '+44 (0)20 7946 0958': '+442079460958',
  '442079460958': '+442079460958',
})

await reads('a plus is believed, valid number or not, from 8 to 15 digits', {
  '+99912345': '+99912345',
  '0099912345': '+99912345',
  '+501234567': '+501234567',
  '(+999) 12345': '+99912345',
  '+999123456789012': '+999123456789012',
  '00999123456789012': '+999123456789012',
})

await test('a service number has its own kind', t => {
  const rows = {
    '1800123456': '+9721800123456',
    '1801123456': '+9721801123456',
    '1809123456': '+9721809123456',
    '1700123456': '+9721700123456',
    '1599123456': '+9721599123456',
    '1900123456': '+9721900123456',
    '1919123456': '+9721919123456',
    '1-800-123-456': '+9721800123456',
    '+972-1-800-123-456': '+9721800123456',
    '9721800123456': '+9721800123456',
    '009721800123456': '+9721800123456',
  }
  for (const [written, e164] of Object.entries(rows))
    t.same(readPhone(written), { kind: 'service', e164 }, written)
  t.end()
})

await test('a star number is kept', t => {
  const rows = {
    '*2700': '*2700',
    '*123': '*123',
    '*123456': '*123456',
    '* 27-00': '*2700',
    '\u200f*2700\u200f': '*2700',
  }
  for (const [written, star] of Object.entries(rows))
    t.same(readPhone(written), { kind: 'star', star }, written)
  t.end()
})

await isKind('a withheld caller is withheld in every spelling', 'withheld', [
  null,
  undefined,
  '',
  '  \t\n',
  '\u200f',
  '0',
  '-1',
  '00',
  '0000000000',
  '+0',
  'anonymous',
  'Anonymous',
  'ANONYMOUS',
  ' restricted ',
  'Restricted',
  'private',
  'unknown',
  'unavailable',
  'withheld',
  'חסוי',
  'מספר חסוי',
  'מספר  חסוי',
  '\u200fחסוי\u200f',
  'sip:anonymous@anonymous.invalid',
])

await isKind('text with letters in it is never searched for digits', 'text', [
  'KGpK4iWq',
  'WPGrStO1',
  'SIPSIP',
  'AAPINFzL',
  'AB12345678',
  'External IVR',
  'Number',
  'Private 0501234567',
  'Anonymous1234',
  'Noa',
  'No1x',
  'Queue 0501234567',
  'תור 0501234567',
  'sip:AB0501234567@voicenter.co',
  'Dana 0501234567',
  '0501234567 ext 2',
  '+972o501234567',
  '5.02345678e8',
  '05०2345678', // a Devanagari zero: dropping it would leave another number
])

await isKind('six digits or fewer are an extension, not a number', 'short', [
  '2700',
  '100',
  '1',
  '123456',
  '+12345',
  '*12',
  '972',
])

await isKind('what fits no numbering plan is nothing', 'other', [
  '+',
  '1234567',
  '12345678',
  '123456789',
  '02345678',
  '05023456789',
  '0501234567/0521234567',
  '0121234567',
  '+9991234',
  '99912345+6',
  '+9991234567890123',
  '009991234567890123',
  '000501234567',
  '9721234',
  '9721234567',
  '+9721234567',
  '+9725023456789',
  '97214155550123',
  '9990123456789',
  '*1234567',
  '*430502345678',
  '#31#0502345678',
  '0502345678#1',
])

await test('a text of a million characters is not read, so that the test ends', t => {
  t.equal(readPhone(padded(64)).kind, 'number')
  t.equal(readPhone(padded(65)).kind, 'text')
  t.equal(readPhone(`${' '.repeat(100)}0502345678${' '.repeat(100)}`).kind, 'number')
  t.equal(readPhone('0'.repeat(65)).kind, 'text')
  for (const piece of [
    '0',
    '+',
    ' ',
    '*',
    '@',
    ';',
    'sip:',
    '\u200f',
    'א',
    '\ud800',
    '\ufdfa',
    '٠',
  ])
    t.ok(['text', 'withheld'].includes(readPhone(piece.repeat(1_000_000)).kind), piece)
  t.end()
})

await test('it never throws, and reading its result again gives the same', t => {
  const pieces = [
    ...'0123456789+-*#@;.()'.split(''),
    ' ',
    'a',
    'ש',
    '٥',
    '\0',
    '\ud83d',
    '\u202e',
    '٪',
    '½',
    'sip:',
  ]
  let seed = 20261115
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  for (let i = 0; i < 20_000; i++) {
    const kinds = i % 2 ? 10 : pieces.length
    const written = Array.from({ length: random(17) }, () => pieces[random(kinds)]).join('')
    const phone = readPhone(written)
    if (phone.kind !== 'number' && phone.kind !== 'service') continue
    if (!/^\+[1-9]\d{7,14}$/.test(phone.e164)) t.fail(`not E.164: ${phone.e164}`, { written })
    const again = readPhone(phone.e164)
    if (JSON.stringify(again) !== JSON.stringify(phone)) t.same(again, phone, written)
  }
  t.pass('20,000 texts')
  t.end()
})

await test('a business line is E.164 or a star number', t => {
  const rows: [string | null | undefined, string | null][] = [
    ['0722776772', '+972722776772'],
    ['972722776772', '+972722776772'],
    ['0702246666', '+972702246666'],
    ['03-123-4567', '+97231234567'],
    ['1-700-123-456', '+9721700123456'],
    ['+40376300329', '+40376300329'],
    ['*2700', '*2700'],
    ['2700', null],
    ['KGpK4iWq', null],
    ['1234567', null],
    ['anonymous', null],
    ['', null],
    [null, null],
    [undefined, null],
  ]
  for (const [written, line] of rows) t.equal(lineOf(written), line, String(written))
  t.end()
})

await test('a line that was dialled may lack its zero or its star', t => {
  const rows: [string | null | undefined, string | null][] = [
    ['36120001', '+97236120001'],
    ['722776772', '+972722776772'],
    ['972722776772', '+972722776772'],
    ['sip:36120001@pbx', '+97236120001'],
    ['sip:0722776772@pbx', '+972722776772'],
    ['"Main" <sip:+972722776772@pbx>', '+972722776772'],
    ['"Main" <sip:36120001@pbx>', '+97236120001'],
    ['"Main" <sip:2700@pbx>', '*2700'],
    ['"Main" <2700>', '*2700'],
    ['Main <tel:2700>;tag=1', '*2700'],
    ['<2700>', '*2700'],
    ['"2700" <36120001>', '+97236120001'],
    ['3-6120001', '+97236120001'],
    ['36-120-001', '+97236120001'],
    ['36 120 001', '+97236120001'],
    ['(3) 6120001', '+97236120001'],
    ['3.612.0001', '+97236120001'],
    ['36120001.0', '+97236120001'],
    ['2700.0', '*2700'],
    ['tel:36-120-001', '+97236120001'],
    ['sip:36120001@10.0.0.1', '+97236120001'],
    ['01800700700', '+9721800700700'],
    ['01-800-700-700', '+9721800700700'],
    ['sip:01800700700@pbx', '+9721800700700'],
    ['36120001,36120001', null],
    ['3612000/1', null],
    ['2700 <Main>', null],
    ['"Main" <100>, <2700>', null],
    ['*2700', '*2700'],
    ['2700', '*2700'],
    ['2700*', '*2700'],
    ['+972*2700', '*2700'],
    ['sip:*2700@pbx', '*2700'],
    ['sip:2700@pbx', '*2700'],
    ['1-700-123-456', '+9721700123456'],
    ['KGpK4iWq', null],
    ['12345678', null],
    ['12', null],
    ['Main trunk', null],
    ['', null],
    [null, null],
  ]
  for (const [written, line] of rows) t.equal(dialledLine(written), line, String(written))
  t.end()
})

await test('the form decides whether a number is an Israeli mobile', t => {
  for (const e164 of ['+972502345678', '+972501234567', '+972599123456', '+972561234567'])
    t.equal(isIsraeliMobile(e164), true, e164)
  for (const e164 of ['+970599123456', '+970561234567']) t.equal(isIsraeliMobile(e164), true, e164)
  for (const e164 of [
    '+97231234567',
    '+972722776772',
    '+97250234567',
    '+9725023456789',
    '+9721800123456',
    '+970501234567',
    '+97059912345',
    '+9705991234567',
    '+40376300329',
    '972502345678',
    '0502345678',
    ' +972502345678',
    '+972502345678\n',
    '*2700',
    '',
  ])
    t.equal(isIsraeliMobile(e164), false, e164)
  t.end()
})

await test('a foreign number is valid only outside Israel and by the full metadata', t => {
  for (const e164 of ['+40376300329', '+14155550123', '+442079460958', '+97022345678'])
    t.equal(isValidForeign(e164), true, e164)
  for (const e164 of [
    '+972502345678',
    '+97231234567',
    '+97214155550123',
    '+970599123456',
    '+970561234567',
    '+99912345678',
    '+14155550',
    '+11111111111',
    '+4402079460958',
    '14155550123',
    '40376300329',
    '+1 415 555 0123',
    '+',
    '',
    '*2700',
    `+${'1'.repeat(10_000)}`,
  ])
    t.equal(isValidForeign(e164), false, e164.slice(0, 20))
  t.end()
})

await test('a Palestinian mobile has two spellings, an Israeli number has one', t => {
  t.same(spellings('+972599123456'), ['+972599123456', '+970599123456'])
  t.same(spellings('+970599123456'), ['+970599123456', '+972599123456'])
  t.same(spellings('+972561234567'), ['+972561234567', '+970561234567'])
  t.same(spellings('+970561234567'), ['+970561234567', '+972561234567'])
  for (const e164 of [
    '+972502345678',
    '+972581234567',
    '+970501234567',
    '+97022345678',
    '+97259912345',
    '+9725991234567',
    '+97231234567',
    '+40376300329',
    '*2700',
  ])
    t.same(spellings(e164), [e164], e164)
  t.end()
})
