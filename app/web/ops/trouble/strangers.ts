import { sql } from 'kysely'
import { html } from '../html.ts'
import { when } from '../format.ts'
import { table } from '../table.ts'
import { troubleWords } from '../words/trouble.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

/** The latest events of unknown numbers that are looked at. */
const AT_MOST = 5000

/** WhatsApp tells us of numbers that nobody has connected: the operator's own affair. */
export const strangeEvents: ShowSection = async (trx, visit) => {
  const { strangers: words, ...common } = troubleWords[visit.language]
  const { rows: found } = await sql<{ id: string; events: number; last: Date; cut: boolean }>`
    with lately as (
      select phone_number_id, received_at from whatsapp_events
      where tenant_id is null and outcome = 'number_unknown' and phone_number_id is not null
        and received_at > now() - interval '7 days'
      order by received_at desc limit ${AT_MOST}
    )
    select phone_number_id as id, count(*)::int as events, max(received_at) as last,
           (select count(*) from lately) = ${AT_MOST} as cut
    from lately group by 1 order by last desc limit ${SHOWN + 1}`.execute(trx)
  const { rows, count, more } = counted(found, found[0]?.cut)
  return {
    id: 'strangers',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [words.id, ({ id }) => html`<code>${id}</code>`],
      [words.events, ({ events }) => events],
      [common.last, ({ last }) => when(last, visit.language)],
    ]),
  }
}
