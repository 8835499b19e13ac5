import type { Trx } from '../../../db/kysely.ts'
import { html, type Html } from '../html.ts'
import { carefulForm } from '../deed_form.ts'
import { when } from '../format.ts'
import type { Visit } from '../page.ts'
import { refuse } from '../refuse.ts'
import { refusedBecause } from '../words/refused_delivery.ts'
import { troubleWords } from '../words/trouble.ts'

/** So much of a body is shown. */
const LONGEST = 20_000

/** One refused delivery, with its body as it came. */
export const deliveryBody = async (trx: Trx, visit: Visit, id: string): Promise<Html> => {
  const { deliveries: words, ...common } = troubleWords[visit.language]
  const found = await trx
    .selectFrom('rejected_deliveries as r')
    .leftJoin('tenants as t', 't.id', 'r.tenant_id')
    .select(['r.id', 'r.source', 'r.reason', 'r.content_type', 'r.body', 'r.deliveries'])
    .select(['r.received_at', 'r.discarded_at', 't.name', 't.timezone'])
    .where('r.id', '=', id)
    .$if(visit.own !== null, query => query.where('r.tenant_id', '=', visit.own))
    .executeTakeFirst()
  if (!found) return refuse(404)
  const sources: Record<string, string> = words.sources
  const text = found.body?.toString('utf8') ?? null
  return html`<h1>${words.one}</h1>
    <div class="card">
      <dl class="values">
        <dt>${words.why}</dt>
        <dd><bdi>${refusedBecause(visit.language, found.reason)}</bdi></dd>
        <dt>${words.came}</dt>
        <dd>${when(found.received_at, visit.language, found.timezone ?? undefined)}</dd>
        <dt>${words.source}</dt>
        <dd>${sources[found.source]}</dd>
        <dt>${common.business}</dt>
        <dd><bdi>${found.name ?? common.nobody}</bdi></dd>
        <dt>${words.howOften}</dt>
        <dd>${found.deliveries}</dd>
        <dt>${words.type}</dt>
        <dd><code>${found.content_type ?? '–'}</code></dd>
      </dl>
    </div>
    <h2>${words.body}</h2>
    ${text === null ? html`<p class="empty">${words.noBody}</p>` : html`<pre>${text.slice(0, LONGEST)}</pre>`}
    ${text !== null && text.length > LONGEST && html`<p class="quiet">${words.cut}</p>`}
    ${
      found.discarded_at === null &&
      carefulForm(
        { ...visit, here: '/ops/trouble' },
        {
          id: 'discard',
          open: words.discardAll,
          warning: words.warning(1),
          path: `/ops/trouble/deliveries/${id}/discard`,
          label: words.discardNow,
        },
      )
    }
    <p><a href="/ops/trouble#deliveries">${common.title}</a></p>`
}
