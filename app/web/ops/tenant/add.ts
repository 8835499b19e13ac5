/** A new business: the form, and what is shown once it is there. */
import type { Trx } from '../../../db/kysely.ts'
import { showTenant } from '../../../tenants/tenants.ts'
import { html } from '../html.ts'
import type { Refusal } from '../attempt.ts'
import { choice, input, refused, textArea } from '../fields.ts'
import type { Page } from '../layout.ts'
import type { Visit } from '../page.ts'
import { tenantsWords } from '../words/tenants.ts'
import { framed, pathOf } from './section.ts'
import { urlOnce } from './webhook.ts'

/** In the form the numbers have a field of their own; one of them that is taken is told beside it. */
const ofForm = (refusal: Refusal | null): Refusal | null => {
  const phone = refusal?.problems['phone']
  if (!refusal || phone === undefined) return refusal
  return { ...refusal, problems: { ...refusal.problems, numbers: phone } }
}

/** The form; with a refusal, as it was sent. */
export const addPage = (visit: Visit, refusal: Refusal | null): Page => {
  const words = tenantsWords[visit.language]
  const { form } = words
  return {
    name: 'tenants',
    title: words.add,
    body: html`<h1>${words.add}</h1>
      ${refused(visit.language, refusal, 'add')}
      <form class="card" method="post" action="/ops/tenants/add" autocomplete="off">
        <input type="hidden" name="form" value="${visit.formToken}" />
        ${input({ name: 'name', label: words.name, help: form.nameHelp, refusal })}
        ${textArea({
          name: 'numbers',
          label: form.numbers,
          help: form.numbersHelp,
          rows: 3,
          refusal: ofForm(refusal),
        })}
        ${input({
          name: 'ownerPhone',
          label: form.ownerPhone,
          help: form.ownerPhoneHelp,
          kind: 'tel',
          direction: 'ltr',
          refusal,
        })}
        ${choice({ name: 'mode', label: form.mode, value: 'shadow', options: form.modes, refusal })}
        <button class="main">${form.submit}</button>
      </form>`,
  }
}

/** The only page that ever shows the URL. */
export const addedPage = async (
  trx: Trx,
  visit: Visit,
  { tenantId, webhookToken }: { tenantId: string; webhookToken: string },
): Promise<Page> => {
  const shown = await showTenant(trx, tenantId)
  const words = tenantsWords[visit.language].added
  const body = html`<p class="said" role="status">${words.title(shown.name)}</p>
    <section class="card">
      ${urlOnce(visit.language, webhookToken)}
      <p class="row">
        <a class="button main" href="${pathOf(tenantId, 'whatsapp')}">${words.next}</a>
        <a class="button" href="${pathOf(tenantId, 'overview')}">${words.overview}</a>
      </p>
    </section>`
  return framed(visit, shown, 'overview', body)
}
