import type { Trx } from '../../db/kysely.ts'
import { html } from './html.ts'
import type { Visit } from './page.ts'
import { todayWords } from './words/today.ts'

export type TenantSeen = { id: string; name: string; timezone: string }

/** The businesses that a sign-in may look at, by name. */
export const tenantsSeen = (trx: Trx, { own }: Pick<Visit, 'own'>): Promise<TenantSeen[]> =>
  trx
    .selectFrom('tenants')
    .select(['id', 'name', 'timezone'])
    .$if(own !== null, query => query.where('id', '=', own))
    .orderBy('name')
    .execute()

/** The operator's choice of one business, or all; nothing where there is nothing to choose. */
export const chooseTenant = (
  path: string,
  tenants: TenantSeen[],
  { own, given, language }: Visit,
) => {
  const words = todayWords[language]
  return (
    !own &&
    tenants.length > 1 &&
    html`<form class="row" action="${path}">
      <select name="tenant" aria-label="${words.business}">
        <option value="">${words.all}</option>
        ${tenants.map(
          ({ id, name }) =>
            html`<option value="${id}" ${given['tenant'] === id && html`selected`}>
              ${name}
            </option>`,
        )}
      </select>
      <button>${words.show}</button>
    </form>`
  )
}
