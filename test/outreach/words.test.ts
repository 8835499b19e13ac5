/** Which whole messages mean "leave me alone", and which mean "write to me again". */
import { test } from 'tap'
import { parseKeyword } from '../../app/replies/keywords.ts'

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

/** How people and phones dress a word without changing it. */
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
    await test(`"${word}" means ${wanted}, however it is dressed`, async t => {
      for (const written of dressed(word))
        t.equal(parseKeyword(written), wanted, JSON.stringify(written))
      for (const longer of [`${word} tomorrow`, `לא ${word}`, `${word}ish`, `x${word}`])
        t.equal(parseKeyword(longer), null, `${longer}: only the whole message counts`)
    })

await test('the written forms of the same word are one', async t => {
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

await test('a word within a sentence is an answer like any other', async t => {
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
  ])
    t.equal(parseKeyword(written), null, written)
})

await test('nothing at all is no wish', async t => {
  for (const written of ['', ' ', '.', '🛑', '\u200f', '\ufe0f', '\u05b0'])
    t.equal(parseKeyword(written), null, JSON.stringify(written))
})
