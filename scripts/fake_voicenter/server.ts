/** A fake of Voicenter's Call Log and Active Calls APIs on loopback, with all state in memory. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import express, { type Response } from 'express'
import { z } from 'zod'
import type { Push } from '../demo/cdr.ts'

/** The access to one organisation's calls: by its code, or by its bearer token. */
export type Account = { id: string; code: string; bearer: string; addressAllowed: boolean }

type Stored = Account & {
  calls: LogRecord[]
  active: ActiveCall[]
  /** When each request of the last minute came, in milliseconds. */
  requestedAt: number[]
}

/** A call in the log, with the field names of Voicenter's "Call Log" page. */
export type LogRecord = Record<string, unknown> & { Date: string }

/** A call that is going on, with the field names of Voicenter's "Active Calls" page. */
export type ActiveCall = {
  username: string
  callerphone: string
  callstatus: 'Ringing' | 'Dialing' | 'Talking' | 'Hold'
  ivrid: string
  callAnswered?: number
}

/** What happens to a request instead of the usual answer. */
export type Fault =
  | { error: number }
  | { status: number; body?: string; location?: string }
  | { hang: true }
  /** The connection ends in the middle of the answer. */
  | { cut: true }
  /** An answer of this size that is not JSON. */
  | { bytes: number }

/** A request, without its credential. */
export type LoggedRequest = { account: string | null; from: string; to: string; fields: string[] }

/** The limits of Voicenter's "Call Log" page. */
const MAX_RECORDS = 10_000
const MAX_REQUESTS_PER_MINUTE = 30

const searchRequest = z.object({
  code: z.string().optional(),
  fields: z.array(z.string()).default([]),
  search: z.object({ fromdate: z.string(), todate: z.string() }).partial().default({}),
  sort: z.array(z.object({ field: z.string(), order: z.enum(['asc', 'desc']) })).default([]),
})
type SearchRequest = z.output<typeof searchRequest>

export const startFakeVoicenter = async () => {
  const accounts: Stored[] = []
  const requests: LoggedRequest[] = []
  const faults: Fault[] = []
  let lowerCase = false
  let beforeAnswer: (() => Promise<void>) | null = null

  const app = express()
  app.disable('x-powered-by')
  app.post('/hub/cdr/', express.json(), async (req, res) => {
    const query = searchRequest.parse(req.body)
    const bearer = req.get('authorization')?.replace(/^Bearer /, '')
    const account = accounts.find(one => one.code === query.code || one.bearer === bearer)
    const { fromdate: from = '', todate: to = '' } = query.search
    requests.push({ account: account?.id ?? null, from, to, fields: query.fields })
    await beforeAnswer?.()
    const fault = faults.shift()
    if (fault) return answerFault(res, fault)
    const answer = answerFor(account, query, lowerCase)
    res.status(answer.STATUS_CODE).json(answer)
  })
  const asked: (string | null)[] = []
  app.post('/comet/API/GetExtensionsCalls', express.json(), async (req, res) => {
    const { code } = z.object({ code: z.string().optional() }).parse(req.body)
    const bearer = req.get('authorization')?.replace(/^Bearer /, '')
    const account = accounts.find(one => one.code === code || one.bearer === bearer)
    asked.push(account?.id ?? null)
    await beforeAnswer?.()
    const fault = faults.shift()
    if (fault) answerFault(res, fault)
    else if (!account) res.json({ ERR: 1, DESC: 'code' })
    else
      res.json({
        ERR: 0,
        EXTENSIONS: [...Map.groupBy(account.active, ({ username }) => username)].map(
          ([username, calls]) => ({
            username,
            calls: calls.map(({ callerphone, callstatus, ivrid, callAnswered = 0 }) => ({
              callerphone,
              callstatus,
              direction: 'Incoming',
              ivrid,
              callAnswered,
              did: '0722776772',
            })),
          }),
        ),
      })
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()

  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    /** Adds an account with a log of its own. Fields that are not given are made up. */
    addAccount: (input: Partial<Account> = {}): Account => {
      const id = String(accounts.length + 1)
      const account = { id, code: secret(), bearer: secret(), addressAllowed: true, ...input }
      accounts.push({ ...account, calls: [], active: [], requestedAt: [] })
      return account
    },
    log: ({ id }: Account, ...calls: LogRecord[]): void => {
      const account = accounts.find(one => one.id === id)
      if (!account) throw new Error('no such account', { cause: { id } })
      account.calls.push(...calls)
    },
    /** These calls, and no others, are going on now. */
    setActive: ({ id }: Account, ...calls: ActiveCall[]): void => {
      const account = accounts.find(one => one.id === id)
      if (!account) throw new Error('no such account', { cause: { id } })
      account.active = calls
    },
    /** The accounts whose active calls were asked for; null = a wrong credential. */
    asked: () => [...asked],
    script: (...next: Fault[]) => void faults.push(...next),
    /** According to reports, some real accounts answer with all field names in small letters. */
    setLowerCase: (wanted: boolean) => void (lowerCase = wanted),
    onRequest: (run: (() => Promise<void>) | null) => void (beforeAnswer = run),
    requests: () => [...requests],
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

const secret = () => randomBytes(16).toString('hex')

/** The answer with Voicenter's own error numbers. */
const answerFor = (account: Stored | undefined, query: SearchRequest, lowerCase: boolean) => {
  if (!account) return errorAnswer(2, 403, 'Authorization failed')
  if (account.code === query.code && !account.addressAllowed)
    return errorAnswer(4, 403, 'IP address is not authorized')

  const now = Date.now()
  account.requestedAt = account.requestedAt.filter(at => at > now - 60_000)
  if (account.requestedAt.length >= MAX_REQUESTS_PER_MINUTE)
    return errorAnswer(1, 403, 'Rate limit exceeded')
  account.requestedAt.push(now)

  const { fromdate = '', todate = '' } = query.search
  const [from, to] = [gmt(fromdate), gmt(todate)]
  if (Number.isNaN(from) || Number.isNaN(to) || from > to)
    return errorAnswer(5, 404, 'Date range invalid')
  const sign = query.sort[0]?.order === 'asc' ? 1 : -1
  const found = account.calls
    .map(call => ({ call, at: Date.parse(call.Date) }))
    .filter(({ at }) => at >= from && at <= to)
    .toSorted((a, b) => sign * (a.at - b.at))
  const list = found.slice(0, MAX_RECORDS)
  return {
    ERROR_NUMBER: 0,
    ERROR_DESCRIPTION: 'OK',
    STATUS_CODE: 200,
    TOTAL_HITS: found.length,
    RETURN_HITS: list.length,
    CDR_LIST: list.map(({ call }) => pick(call, query.fields, lowerCase)),
  }
}

const errorAnswer = (ERROR_NUMBER: number, STATUS_CODE: number, ERROR_DESCRIPTION: string) => ({
  ERROR_NUMBER,
  ERROR_DESCRIPTION,
  STATUS_CODE,
})

const answerFault = (res: Response, fault: Fault): void => {
  if ('hang' in fault) return
  if ('cut' in fault) {
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
    res.write('{"ERROR_NUMBER":0,', () => res.destroy())
  } else if ('bytes' in fault) {
    res.type('json').send(Buffer.alloc(fault.bytes, 'x'))
  } else if ('error' in fault) {
    const answer = errorAnswer(fault.error, fault.error === 5 ? 404 : 403, 'as scripted')
    res.status(answer.STATUS_CODE).json(answer)
  } else {
    if (fault.location) res.set('location', fault.location)
    res.status(fault.status).send(fault.body ?? '')
  }
}

/** A date without a zone is GMT too. */
const gmt = (written: string): number =>
  Date.parse(/[Zz]$|[+-]\d\d:\d\d$/.test(written) ? written : `${written}Z`)

const pick = (call: LogRecord, fields: string[], lowerCase: boolean) => {
  const wanted = new Set(fields.map(field => field.toLowerCase()))
  return Object.fromEntries(
    Object.entries(call)
      .filter(([name]) => wanted.size === 0 || wanted.has(name.toLowerCase()))
      .map(([name, value]) => [lowerCase ? name.toLowerCase() : name, value]),
  )
}

/** The `CdrType` of each type that a push has by name. */
const CDR_TYPES: Record<string, number> = {
  'Incoming Call': 1,
  'Extension Outgoing': 4,
  Queue: 8,
  'Click2Call leg1': 9,
  'Click2Call leg2': 10,
  VoiceMail: 11,
  XferCDR: 13,
  'ProductiveCall Leg1': 14,
  'ProductiveCall Leg2': 15,
  'Click 2 IVR': 17,
}

/**
 * The pushed call as the log has it: with other field names, and its start in GMT where the push has the
 * clock of Israel.
 *
 * @param at when the call began
 */
export const logged = (push: Push, at: Date): LogRecord => {
  const original = push['OriginalIvrUniqueID']
  return {
    CallerNumber: push['caller'],
    TargetNumber: push['target'],
    Date: at.toISOString().replace(/\.\d+Z$/, 'Z'),
    DateEpoch: Math.floor(at.getTime() / 1000),
    Duration: push['duration'],
    CallID: push.ivruniqueid,
    Type: push['type'],
    CdrType: CDR_TYPES[String(push['type'])] ?? 0,
    DialStatus: push['status'],
    TargetExtension: push['targetextension'],
    CallerExtension: push['callerextension'],
    DID: push['did'],
    QueueName: push['queuename'],
    RecordURL: '',
    RecordExpect: false,
    Price: 0,
    RingTime: push['dialtime'],
    RepresentativeName: push['representative_name'],
    RepresentativeCode: push['representative_code'],
    DTMFData: [],
    CustomData: original ? { OriginalIvrUniqueID: original } : {},
    DepartmentName: 'Sales',
  }
}
