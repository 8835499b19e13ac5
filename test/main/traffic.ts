/** Calls that keep coming in, whatever happens to the program meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { push } from '../../scripts/demo/cdr.ts'
import { ask, type Process } from '../support/process.ts'
import { business, db } from '../support/ringback.ts'

const { token } = await business()

/** Posts new records without a pause until it is told to stop; what was answered. */
export const traffic = async (program: Process) => {
  const door = `${await program.url()}/webhooks/voicenter/cdr?token=${token}`
  const answers: { callId: string; status: number; retryAfter: string | null }[] = []
  let on = true
  const one = async () => {
    while (on) {
      const record = push({ caller: 'anonymous' })
      const answer = await ask(door, record).catch(() => null)
      // The door is closed.
      if (!answer) return
      answers.push({ callId: record.ivruniqueid, ...answer })
      await sleep(20)
    }
  }
  const all = Promise.all(Array.from({ length: 8 }, one))
  return {
    answers,
    end: async () => {
      on = false
      await all
      return answers
    },
  }
}
type Answers = Awaited<ReturnType<typeof traffic>>['answers']

export const acked = (answers: Answers) =>
  answers.filter(({ status }) => status === 200).map(({ callId }) => callId)
export const judged = async (callIds: string[]) => {
  const { rows } = await sql<{ stored: number; open: number }>`
    select count(distinct call_id)::int as stored, count(*) filter (where verdict is null)::int as open
    from raw_cdrs where call_id = any(${callIds})`.execute(db)
  return rows[0]
}
