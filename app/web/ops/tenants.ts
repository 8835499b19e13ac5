/** The businesses, and adding one. */
import { Router } from 'express'
import { addTenant, newTenant, listTenants, type TenantLine } from '../../tenants/tenants.ts'
import { html, type Html } from './html.ts'
import { attempt, lines, text } from './attempt.ts'
import { telephone } from './format.ts'
import { fromNow } from './from_now.ts'
import { deed, page, type Visit } from './page.ts'
import { refuse } from './refuse.ts'
import { tenantPage } from './tenant.ts'
import { addedPage, addPage } from './tenant/add.ts'
import { modeBadge, pathOf } from './tenant/section.ts'
import { tenantsWords } from './words/tenants.ts'

/** Numbers that are shown in the list; a switchboard may have a hundred. */
const NUMBERS = 3

const row = (tenant: TenantLine, visit: Visit): Html => {
  const words = tenantsWords[visit.language]
  const { tenantId, name, numbers, connection, lastWebhookAt, waiting } = tenant
  const look = connection === 'active' ? 'good' : connection === 'paused' ? 'bad' : ''
  return html`<tr>
    <td data-label="${words.name}">
      <a href="${pathOf(tenantId, 'overview')}"><bdi>${name}</bdi></a>
    </td>
    <td data-label="${words.mode}">${modeBadge(tenant.mode, visit)}</td>
    <td data-label="${words.numbers}">
      <span
        >${numbers.slice(0, NUMBERS).map(number => html`${telephone(number)}<br />`)}
        ${numbers.length > NUMBERS && html`<small>${words.more(numbers.length - NUMBERS)}</small>`}</span
      >
    </td>
    <td data-label="${words.whatsapp}">
      <span class="badge ${look}">${words.connection[connection ?? 'none']}</span>
    </td>
    <td data-label="${words.webhook}">
      ${lastWebhookAt ? fromNow(lastWebhookAt, new Date(), visit.language) : words.never}
    </td>
    <td class="number" data-label="${words.waiting}">${waiting}</td>
  </tr>`
}

const list = (tenants: TenantLine[], visit: Visit): Html => {
  const words = tenantsWords[visit.language]
  return html`<div class="row spread">
      <h1>${words.title}</h1>
      <a class="button main" href="/ops/tenants/add">${words.add}</a>
    </div>
    ${tenants.length === 0 && html`<p class="empty">${words.none}</p>`}
    ${
      tenants.length > 0 &&
      html`<table class="stack">
        <thead>
          <tr>
            <th>${words.name}</th>
            <th>${words.mode}</th>
            <th>${words.numbers}</th>
            <th>${words.whatsapp}</th>
            <th>${words.webhook}</th>
            <th class="number">${words.waiting}</th>
          </tr>
        </thead>
        <tbody>
          ${tenants.map(tenant => row(tenant, visit))}
        </tbody>
      </table>`
    }`
}

const operatorOnly = (visit: Visit): void => {
  if (visit.own !== null) refuse(404)
}

export const tenantsPages = Router()

tenantsPages.get(
  '/tenants',
  page(async (trx, visit) => {
    // A business has one, its own.
    if (visit.own !== null) return tenantPage(trx, visit, visit.own, 'overview')
    const title = tenantsWords[visit.language].title
    return { name: 'tenants', title, body: list(await listTenants(trx), visit), live: true }
  }),
)

tenantsPages.get(
  '/tenants/add',
  page(async (_trx, visit) => {
    operatorOnly(visit)
    return addPage(visit, null)
  }),
)

tenantsPages.post(
  '/tenants/add',
  deed((trx, visit, form) => {
    operatorOnly(visit)
    return attempt(
      trx,
      visit.language,
      async () => {
        const tenant = newTenant.parse({
          name: text(form, 'name') ?? '',
          numbers: lines(form, 'numbers'),
          ownerPhone: text(form, 'ownerPhone')?.trim() || undefined,
          mode: text(form, 'mode'),
        })
        return addedPage(trx, visit, await addTenant(trx, visit.signIn, tenant))
      },
      async problems => addPage(visit, { deed: 'add', problems, entered: form }),
    )
  }),
)
