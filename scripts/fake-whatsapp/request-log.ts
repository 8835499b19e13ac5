import type { Request } from 'express'
import type { Accounts } from './accounts.ts'
import type { Outcome } from './outcomes.ts'

/** A request to /messages, and what became of it. */
export type LoggedRequest = {
  at: string
  version: string
  phoneNumberId: string
  headers: Record<string, string>
  /** Whose token it carried: the number's id, `wrong`, or `none`. The token itself is not kept. */
  authorization: string
  /** The parsed body; its text where it was no JSON; undefined where it was dropped unread. */
  body: unknown
  /** What it met: `refused` by the ordinary checks, else the kind of outcome. */
  outcome: Outcome['kind'] | 'refused' | 'reading'
  /** Whether the person got it, or will, whatever the client was told. */
  accepted: boolean
  /** The HTTP status of the answer, if there was one, and the error code in it. */
  status?: number
  code?: number
  wamid?: string
}

/** Whose token a request carries. */
const owner = (authorization: string | undefined, phoneNumberId: string, accounts: Accounts) => {
  if (!authorization) return 'none'
  const token = /^Bearer (.+)$/i.exec(authorization)?.[1]
  const owners = accounts.numbers().filter(number => number.token === token)
  const own = owners.find(number => number.phoneNumberId === phoneNumberId) ?? owners[0]
  return own?.phoneNumberId ?? 'wrong'
}

export type RequestLog = ReturnType<typeof createRequestLog>

export const createRequestLog = (accounts: Accounts) => {
  let log: LoggedRequest[] = []
  return {
    add: (
      { headers: sent }: Request,
      { version, phoneNumberId }: Pick<LoggedRequest, 'version' | 'phoneNumberId'>,
      body?: unknown,
    ): LoggedRequest => {
      const authorization = owner(sent.authorization, phoneNumberId, accounts)
      const headers = Object.entries({ ...sent, ...(sent.authorization && { authorization }) })
      const logged: LoggedRequest = {
        at: new Date().toISOString(),
        version,
        phoneNumberId,
        headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
        authorization,
        body,
        outcome: 'reading',
        accepted: false,
      }
      log.push(logged)
      return logged
    },
    all: () => [...log],
    clear: () => {
      log = []
    },
  }
}
