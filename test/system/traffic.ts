/** Posts new CDRs all the time, whatever happens to the program. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { push } from '../../scripts/demo/cdr.ts'
import { ask, type Process } from '../support/process.ts'
import { business, db } from '../support/ringback.ts'

type Answer = { callId: string; status: number; retryAfter: string | null }

/** Eight clients post until `end()`, or until the program accepts no connection. */
export const startTraffic = async (program: Process) => {
  const { token } = await business()
  const webhook = `${await program.url()}/webhooks/voicenter/cdr?token=${token}`
  const answers: Answer[] = []
  let ended = false
  const client = async () => {
    while (!ended) {
      const cdr = push({ caller: 'anonymous' })
      const answer = await ask(webhook, cdr).catch(() => null)
      if (!answer) return
      answers.push({ callId: cdr.ivruniqueid, ...answer })
      await sleep(20)
    }
  }
  const clients = Promise.all(Array.from({ length: 8 }, client))
  return {
    answers,
    end: async () => {
      ended = true
      await clients
      return answers
    },
  }
}

/** The CallIDs that were answered with 200. */
export const acknowledged = (answers: Answer[]): string[] =>
  answers.filter(({ status }) => status === 200).map(({ callId }) => callId)

/** How many of these calls are stored, and how many of their CDRs have no verdict yet. */
export const classified = async (callIds: string[]) => {
  const { rows } = await sql<{ stored: number; open: number }>`
    select count(distinct call_id)::int as stored, count(*) filter (where verdict is null)::int as open
    from raw_cdrs where call_id = any(${callIds})`.execute(db)
  return rows[0] ?? { stored: 0, open: 0 }
}
