import { setTimeout as sleep } from 'node:timers/promises'
import express, { type Response } from 'express'
import { z } from 'zod'
import { createListener } from '../fake-whatsapp/listener.ts'
import { type Account, type AccountInput, createAccounts } from './accounts.ts'
import { answerFrom } from './answer.ts'
import type { LogRecord } from './record.ts'

/** What the next request meets instead of an answer. */
export type Fault =
  | { error: number }
  | { status: number; body?: string; location?: string }
  /** Never answered. */
  | { hang: true }
  /** The connection ends in the middle of the answer. */
  | { cut: true }
  | { delayMs: number }
  /** An answer of so many bytes, which is no JSON. */
  | { bytes: number }

/** What was asked, with the credential left out. */
export type Asked = { account: string | null; from: string; to: string; fields: string[] }

/** Voicenter's Call Log API on loopback. All state is in memory. */
export type FakeVoicenter = {
  /** The base URL, for VOICENTER_API_URL. */
  url: string
  /** An account with a log of its own; what is not given is made up. */
  addAccount: (input?: AccountInput) => Account
  /** Calls enter the account's log. */
  log: (account: Account, ...records: LogRecord[]) => void
  /** Faults for the next requests, in this order; then it answers again. */
  script: (...faults: Fault[]) => void
  /** Real accounts are said to answer with all names of a record in small letters. */
  setLowerCase: (lowerCase: boolean) => void
  /** Called once a request is there and before it is answered: a test's way in between. */
  onRequest: (happens: (() => Promise<void>) | null) => void
  requests: () => Asked[]
  close: () => Promise<void>
}

const request = z.object({
  code: z.string().optional(),
  fields: z.array(z.string()).optional(),
  search: z.object({ fromdate: z.string(), todate: z.string() }).partial().optional(),
  sort: z.array(z.object({ field: z.string(), order: z.enum(['asc', 'desc']) })).optional(),
})

/** Starts it; port 0 takes a free one. */
export const startFakeVoicenter = async ({
  port = 0,
}: { port?: number } = {}): Promise<FakeVoicenter> => {
  const accounts = createAccounts()
  const asked: Asked[] = []
  const faults: Fault[] = []
  let lowerCase = false
  let happens: (() => Promise<void>) | null = null

  const app = express()
  app.disable('x-powered-by')
  app.post('/hub/cdr/', express.json(), async (req, res) => {
    const { code, fields = [], search = {}, sort = [] } = request.parse(req.body)
    const bearer = req.get('authorization')?.replace(/^Bearer /, '')
    const opened = accounts.find({ code, bearer })
    const { fromdate: from = '', todate: to = '' } = search
    asked.push({ account: opened?.account.id ?? null, from, to, fields })
    await happens?.()
    const fault = faults.shift()
    if (fault && (await meet(res, fault))) return
    const answer = answerFrom(opened, { from, to, fields, order: sort[0]?.order }, lowerCase)
    res.status(answer.STATUS_CODE).json(answer)
  })
  const listener = await createListener(app, port)

  return {
    url: listener.url,
    addAccount: accounts.add,
    log: (account, ...records) => accounts.log(account, records),
    script: (...next) => void faults.push(...next),
    setLowerCase: wanted => {
      lowerCase = wanted
    },
    onRequest: wanted => {
      happens = wanted
    },
    requests: () => [...asked],
    close: listener.close,
  }
}

/** @returns whether that was the answer */
const meet = async (res: Response, fault: Fault): Promise<boolean> => {
  if ('delayMs' in fault) {
    await sleep(fault.delayMs)
    return false
  }
  if ('hang' in fault) return true
  if ('cut' in fault) {
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
    res.write('{"ERROR_NUMBER":0,', () => res.destroy())
  } else if ('bytes' in fault) {
    res.type('json').send(Buffer.alloc(fault.bytes, 'x'))
  } else if ('error' in fault) {
    const STATUS_CODE = fault.error === 5 ? 404 : 403
    res.status(STATUS_CODE).json({
      ERROR_NUMBER: fault.error,
      ERROR_DESCRIPTION: 'as scripted',
      STATUS_CODE,
    })
  } else {
    if (fault.location) res.set('location', fault.location)
    res.status(fault.status).send(fault.body ?? '')
  }
  return true
}
