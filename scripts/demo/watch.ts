/** What has become of the play's scenes so far, read with SQL and from the phones themselves. */
import type { Ending, Scene } from './play.ts'
import type { Stage } from './stage.ts'

export const endingOf = async (scene: Scene, { database, fake }: Stage): Promise<Ending> => {
  const { rows } = await database.query<{
    verdict: string | null
    outreach: string | null
    lead: string | null
  }>(
    `select verdict, outreach_state || ' / ' || outreach_reason as outreach,
            (select l.state from leads l where l.phone = $2) as lead
     from call_report() where call_id = $1`,
    [scene.callId, scene.phone],
  )
  const [call] = rows
  return {
    ...(call?.verdict && { verdict: call.verdict }),
    ...(call?.outreach && { outreach: call.outreach }),
    ...(scene.ends.lead && call?.lead && { lead: call.lead }),
    messages: scene.phone ? fake.inbox(scene.phone).length : 0,
  }
}

/** In words: "missed, sent / accepted, 1 message". */
export const inWords = ({ answer, verdict, outreach, lead, messages }: Ending): string =>
  [
    answer && `answered ${answer}`,
    verdict,
    outreach,
    lead && `lead ${lead}`,
    messages === 1 ? '1 message' : `${messages} messages`,
  ]
    .filter(Boolean)
    .join(', ')

/** Whether anything is still going to happen by itself. */
export const isQuiet = async ({ database }: Stage): Promise<boolean> => {
  const { rows } = await database.query<{ quiet: boolean }>(
    `select not exists (select from raw_cdrs where verdict is null)
        and not exists (select from missed_calls where outreach_state in ('scheduled', 'sending'))
        and not exists (select from messages where state in ('scheduled', 'sending'))
        and not exists (select from lead_conversations c join messages m on m.lead_conversation_id = c.id
                        where c.state = 'open' and m.state <> 'unknown') as quiet`,
  )
  return rows[0]?.quiet === true
}

/** Whether every record that has come so far has its verdict. */
export const isJudged = async ({ database }: Stage): Promise<boolean> => {
  const { rowCount } = await database.query('select from raw_cdrs where verdict is null limit 1')
  return rowCount === 0
}
