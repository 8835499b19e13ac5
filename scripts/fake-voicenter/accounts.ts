import { randomBytes } from 'node:crypto'
import type { LogRecord } from './record.ts'

/** Calls of one organisation. Whoever has its code or its bearer token may read them. */
export type Account = { id: string; code: string; bearer: string; addressAllowed: boolean }
export type AccountInput = Partial<Account>

type Kept = Account & {
  records: LogRecord[]
  /** When each request of the last minute came, in ms. */
  times: number[]
}
/** An account as a request with its credential meets it. */
export type Opened = { account: Kept; by: 'code' | 'bearer' }

export const createAccounts = () => {
  const all = new Map<string, Kept>()
  const secret = () => randomBytes(16).toString('hex')
  return {
    add: (input: AccountInput = {}): Account => {
      const account = {
        id: String(all.size + 1),
        code: secret(),
        bearer: secret(),
        addressAllowed: true,
        ...input,
      }
      all.set(account.id, { ...account, records: [], times: [] })
      return account
    },
    log: ({ id }: Account, records: LogRecord[]): void => {
      const account = all.get(id)
      if (!account) throw new Error('no such account', { cause: { id } })
      account.records.push(...records)
    },
    find: ({ code, bearer }: { code: string | undefined; bearer: string | undefined }) => {
      for (const account of all.values()) {
        if (account.code === code) return { account, by: 'code' } as const
        if (account.bearer === bearer) return { account, by: 'bearer' } as const
      }
      return null
    },
  }
}
