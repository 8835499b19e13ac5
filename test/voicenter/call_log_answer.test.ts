import { test } from 'tap'
import { MAX_RECORDS, readAnswer } from '../../app/voicenter/call_log/entries.ts'

const OK = { ERROR_NUMBER: 0, ERROR_DESCRIPTION: 'OK', STATUS_CODE: 200 }
const read = (answer: unknown, status = 200) =>
  readAnswer(status, typeof answer === 'string' ? answer : JSON.stringify(answer))

await test('an answer gives its records', t => {
  const answer = read({ ...OK, TOTAL_HITS: 1, RETURN_HITS: 1, CDR_LIST: [{ CallID: 'a' }] })
  t.strictSame(answer, { kind: 'records', records: [{ CallID: 'a' }], isComplete: true })
  t.match(read({ error_number: '0', total_hits: '0', cdr_list: [] }), {
    records: [],
    isComplete: true,
  })
  t.match(read({ ...OK, TOTAL_HITS: 0, CDR_LIST: null }), { records: [], isComplete: true })
  t.match(read({ CDR_LIST: [] }), { records: [], isComplete: true }, 'without an error number')
  t.end()
})

await test('an answer that holds only the first part says so', t => {
  t.match(read({ ...OK, TOTAL_HITS: 2, CDR_LIST: [{}] }), { isComplete: false })
  const full = Array.from({ length: MAX_RECORDS }, () => 1)
  t.match(read({ ...OK, TOTAL_HITS: MAX_RECORDS, CDR_LIST: full }), { isComplete: false })
  t.match(read({ ...OK, CDR_LIST: full.slice(1) }), { isComplete: true })
  t.end()
})

await test('every error has a word, and is tried again soon only if it passes', t => {
  const cases: [unknown, number, why: string, retrySoon: boolean][] = [
    [{ ERROR_NUMBER: 1, STATUS_CODE: 403 }, 403, 'rate_limited', true],
    [{ ERROR_NUMBER: 2, STATUS_CODE: 403 }, 403, 'unauthorized', false],
    [{ ERROR_NUMBER: 2, CDR_LIST: [] }, 200, 'unauthorized', false],
    [{ ERROR_NUMBER: '4' }, 200, 'address_not_allowed', false],
    [{ error_number: 5 }, 404, 'date_range', false],
    [{ ERROR_NUMBER: 77 }, 200, 'error_77', false],
    [{ ERROR_NUMBER: -1 }, 200, 'refused', false],
    [{ ERROR_NUMBER: 'no such code: 4711' }, 200, 'refused', false],
    [{ ERROR_NUMBER: 1e300 }, 200, 'refused', false],
    ['', 401, 'unauthorized', false],
    ['<html>', 403, 'unauthorized', false],
    ['', 429, 'rate_limited', true],
    ['', 302, 'http_302', false],
    ['', 404, 'http_404', false],
    ['<html>', 502, 'http_502', true],
    [{ ...OK, CDR_LIST: [] }, 500, 'http_500', true],
    ['', 200, 'unreadable_answer', true],
    ['<html>', 200, 'unreadable_answer', true],
    ['[]', 200, 'unreadable_answer', true],
    [{ ...OK, TOTAL_HITS: 3, CDR_LIST: null }, 200, 'unreadable_answer', true],
    [{ ...OK, TOTAL_HITS: 0, CDR_LIST: 'none' }, 200, 'unreadable_answer', true],
    [{}, 200, 'unreadable_answer', true],
  ]
  for (const [answer, status, why, retrySoon] of cases) {
    const about = `${JSON.stringify(answer)} ${status}`
    t.strictSame(read(answer, status), { kind: 'failed', why, retrySoon }, about)
    t.match(why, /^[a-z0-9_]{1,40}$/, 'the database takes it')
  }
  t.end()
})
