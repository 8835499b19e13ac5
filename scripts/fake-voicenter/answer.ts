import type { Opened } from './accounts.ts'

/** The limits of Voicenter's "Call Log" page. */
const MOST_RECORDS = 10_000
const REQUESTS_A_MINUTE = 30

type Search = { from: string; to: string; fields: string[]; order?: 'asc' | 'desc' | undefined }

/** What Voicenter answers, with its own error numbers. */
export const answerFrom = (opened: Opened | null, search: Search, lowerCase: boolean) => {
  if (!opened) return refusal(2, 403, 'Authorization failed')
  const { account, by } = opened
  if (by === 'code' && !account.addressAllowed)
    return refusal(4, 403, 'IP address is not authorized')
  const now = Date.now()
  account.times = account.times.filter(time => time > now - 60_000)
  if (account.times.length >= REQUESTS_A_MINUTE) return refusal(1, 403, 'Rate limit exceeded')
  account.times.push(now)

  const [from, to] = [gmt(search.from), gmt(search.to)]
  if (Number.isNaN(from) || Number.isNaN(to) || from > to)
    return refusal(5, 404, 'Date range invalid')
  const at = ({ Date: date }: { Date: string }) => Date.parse(date)
  const found = account.records
    .filter(record => at(record) >= from && at(record) <= to)
    .toSorted((a, b) => (search.order === 'asc' ? at(a) - at(b) : at(b) - at(a)))
  const list = found.slice(0, MOST_RECORDS)
  return {
    ERROR_NUMBER: 0,
    ERROR_DESCRIPTION: 'OK',
    STATUS_CODE: 200,
    TOTAL_HITS: found.length,
    RETURN_HITS: list.length,
    CDR_LIST: list.map(record => pick(record, search.fields, lowerCase)),
  }
}

const refusal = (ERROR_NUMBER: number, STATUS_CODE: number, ERROR_DESCRIPTION: string) => ({
  ERROR_NUMBER,
  ERROR_DESCRIPTION,
  STATUS_CODE,
})

/** A date without a zone is GMT too. */
const gmt = (written: string): number =>
  Date.parse(/[Zz]$|[+-]\d\d:\d\d$/.test(written) ? written : `${written}Z`)

/** Only what was asked for; without a list everything. */
const pick = (record: Record<string, unknown>, fields: string[], lowerCase: boolean) => {
  const wanted = new Set(fields.map(field => field.toLowerCase()))
  return Object.fromEntries(
    Object.entries(record)
      .filter(([name]) => wanted.size === 0 || wanted.has(name.toLowerCase()))
      .map(([name, value]) => [lowerCase ? name.toLowerCase() : name, value]),
  )
}
