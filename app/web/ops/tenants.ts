/** The form to add a tenant. A tenant that signs in sees itself instead of the list. */
import { Router } from 'express'
import type { Trx } from '../../db/kysely.ts'
import { checkConfirmed, newTenantWarnings } from '../../tenants/go_live.ts'
import { addTenant, newTenant, showTenant } from '../../tenants/tenants.ts'
import type { Context } from './access.ts'
import { businessesPage } from './businesses.ts'
import {
  type FailedForm,
  formAlert,
  formLines,
  formValue,
  formValues,
  handleForm,
  input,
  select,
  textArea,
} from './forms.ts'
import { html } from './html.ts'
import { translations } from './language.ts'
import type { Page } from './layout.ts'
import { action, allowedTenant, operatorOnly, page } from './page.ts'
import { tenantPage } from './tenant.ts'
import { confirmWarnings } from './tenant/mode.ts'
import { tenantLayout, tenantPath } from './tenant/section.ts'
import { newUrl } from './tenant/webhook.ts'

/** addTenant reports a number that is taken as `phone`, but the form has the field `numbers`. */
const phoneAsNumbers = (failed: FailedForm | null): FailedForm | null => {
  const phone = failed?.problems['phone']
  if (!failed || phone === undefined) return failed
  return { ...failed, problems: { ...failed.problems, numbers: phone } }
}

const addPage = (context: Context, failed: FailedForm | null): Page => {
  const { add, name, form: texts } = tenantsTexts[context.language]
  return {
    name: 'tenants',
    title: add,
    body: html`<h1>${add}</h1>
      ${formAlert(context.language, failed, 'add')}
      <form class="card" method="post" action="/ops/tenants/add" autocomplete="off">
        <input type="hidden" name="form" value="${context.formToken}" />
        ${input({ name: 'name', label: name, help: texts.nameHelp, failed })}
        ${textArea({
          name: 'numbers',
          label: texts.numbers,
          help: texts.numbersHelp,
          rows: 3,
          failed: phoneAsNumbers(failed),
        })}
        ${input({
          name: 'ownerPhone',
          label: texts.ownerPhone,
          help: texts.ownerPhoneHelp,
          kind: 'tel',
          direction: 'ltr',
          failed,
        })}
        ${select({ name: 'mode', label: texts.mode, value: 'shadow', options: texts.modes, failed })}
        ${
          failed?.entered['mode'] === 'live' &&
          confirmWarnings(context.language, newTenantWarnings())
        }
        <button class="main">${texts.submit}</button>
      </form>`,
  }
}

/** Shows the webhook URL, once. Later it shows the tenant. */
const addedPage = async (trx: Trx, context: Context): Promise<Page> => {
  const tenantId = allowedTenant(context, context.params['tenantId'])
  const { secret: webhookToken } = context
  if (webhookToken === null) return tenantPage(trx, context, tenantId, 'overview')
  const tenant = await showTenant(trx, tenantId)
  const { added: texts } = tenantsTexts[context.language]
  const body = html`<p class="flash" role="status">${texts.title(tenant.name)}</p>
    <section class="card">
      ${newUrl(context.language, webhookToken)}
      <p class="row">
        <a class="button main" href="${tenantPath(tenantId, 'whatsapp')}">${texts.next}</a>
        <a class="button" href="${tenantPath(tenantId, 'overview')}">${texts.overview}</a>
      </p>
    </section>`
  return tenantLayout(context, tenant, 'overview', body)
}

export const tenantsPages = Router()

tenantsPages.get(
  '/tenants',
  page(async (trx, context) =>
    context.tenantScope === null
      ? businessesPage(trx, context)
      : tenantPage(trx, context, context.tenantScope, 'overview'),
  ),
)

tenantsPages.get(
  '/tenants/add',
  page(async (_trx, context) => {
    operatorOnly(context)
    return addPage(context, null)
  }),
)

tenantsPages.post(
  '/tenants/add',
  action(
    (trx, context, form) => {
      operatorOnly(context)
      return handleForm(
        trx,
        context.language,
        async () => {
          const tenant = newTenant.parse({
            name: formValue(form, 'name') ?? '',
            numbers: formLines(form, 'numbers'),
            ownerPhone: formValue(form, 'ownerPhone')?.trim() || undefined,
            mode: formValue(form, 'mode'),
          })
          const added = await addTenant(trx, context.signIn, tenant)
          if (tenant.mode === 'live')
            await checkConfirmed(trx, added.tenantId, formValues(form, 'confirmed'))
          return {
            secret: added.webhookToken,
            to: `${tenantPath(added.tenantId, 'overview')}/added`,
          }
        },
        async problems => addPage(context, { action: 'add', problems, entered: form }),
      )
    },
    {
      showAgain: async (_trx, context, form) => {
        operatorOnly(context)
        return addPage(context, { action: 'add', problems: {}, entered: form })
      },
    },
  ),
)

tenantsPages.get('/tenants/:tenantId/added', page(addedPage))

const tenantsTexts = translations(
  {
    add: 'Add a business',
    name: 'Name',
    form: {
      nameHelp: 'Customers see it in the message.',
      numbers: 'Numbers that customers dial',
      numbersHelp: 'One per line, in any common form: 0722776772, *2700.',
      ownerPhone: 'The owner’s phone',
      ownerPhoneHelp: 'Gets a notice when a customer replies. You can leave it empty for now.',
      mode: 'Mode',
      modes: {
        shadow: 'Trial: no messages are sent',
        live: 'Live: messages are sent to customers',
        paused: 'Paused: no messages are sent',
      },
      submit: 'Add',
    },
    added: {
      title: (name: string) => `${name} was added.`,
      next: 'Next: connect WhatsApp',
      overview: 'Go to the page of the business',
    },
  },
  {
    add: 'הוספת עסק',
    name: 'שם',
    form: {
      nameHelp: 'הלקוחות רואים אותו בהודעה.',
      numbers: 'המספרים שהלקוחות מחייגים',
      numbersHelp: 'מספר אחד בכל שורה, בכל צורה מקובלת: 0722776772, \u200e*2700.',
      ownerPhone: 'הטלפון של בעלי העסק',
      ownerPhoneHelp: 'אליו נשלח עדכון כשלקוח משיב. אפשר להשאיר ריק בינתיים.',
      mode: 'מצב',
      modes: {
        shadow: 'ניסיון: לא נשלחות הודעות',
        live: 'פעיל: נשלחות הודעות ללקוחות',
        paused: 'מושהה: לא נשלחות הודעות',
      },
      submit: 'הוספה',
    },
    added: {
      title: name => `${name}: העסק נוסף.`,
      next: 'השלב הבא: חיבור WhatsApp',
      overview: 'מעבר לדף העסק',
    },
  },
)
