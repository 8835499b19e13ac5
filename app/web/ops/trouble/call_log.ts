import { html } from '../html.ts'
import { when } from '../format.ts'
import { table } from '../table.ts'
import { troubleWords } from '../words/trouble.ts'
import { counted, SHOWN, type ShowSection } from './section.ts'

/** Call logs that we may read and cannot. */
export const failingCallLogs: ShowSection = async (trx, visit, tenantId) => {
  const { callLog: words, ...common } = troubleWords[visit.language]
  const found = await trx
    .selectFrom('call_log_access as a')
    .innerJoin('tenants as t', 't.id', 'a.tenant_id')
    .select(['t.id', 't.name', 't.timezone', 'a.last_error', 'a.failing_since'])
    .where('a.last_error', 'is not', null)
    .$if(tenantId !== null, query => query.where('t.id', '=', tenantId))
    .orderBy('a.failing_since')
    .limit(SHOWN + 1)
    .execute()
  const { rows, count, more } = counted(found)
  const whys: Record<string, string> = words.whys
  return {
    id: 'call-log',
    title: words.title,
    help: words.help,
    count,
    more,
    body: table(rows, [
      [
        common.business,
        ({ id, name }) => html`<a href="/ops/tenants/${id}"><bdi>${name}</bdi></a>`,
      ],
      [words.since, row => when(row.failing_since, visit.language, row.timezone)],
      [words.why, ({ last_error: why }) => whys[why ?? ''] ?? words.otherwise(why ?? '')],
    ]),
  }
}
