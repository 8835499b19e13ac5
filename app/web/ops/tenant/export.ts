/** Calls, people or messages of a tenant as a file. */
import { Router } from 'express'
import { opsDb } from '../../../db/kysely.ts'
import { exportCsv, exportRequest, EXPORTS } from '../../../privacy/export.ts'
import { lastValues, signedIn } from '../access.ts'
import { formAlert, input, only, select } from '../forms.ts'
import { html } from '../html.ts'
import { translations } from '../language.ts'
import { allowedTenant } from '../page.ts'
import { failedForm, type Section, sectionForm } from './section.ts'

export const exportSection: Section = {
  show: view => {
    const texts = exportTexts[view.context.language]
    const failed = failedForm(view, 'csv')
    return html`<section class="card">
      <h2>${texts.title}</h2>
      <p class="quiet">${texts.help}</p>
      ${formAlert(view.context.language, failed, 'csv')}
      ${sectionForm(
        view,
        'export',
        'csv',
        html`${select({ name: 'what', label: texts.what, options: only(texts, EXPORTS), failed })}
          ${input({ name: 'since', label: texts.since, kind: 'date', failed })}
          ${input({ name: 'until', label: texts.until, kind: 'date', failed })}
          <button class="main">${texts.submit}</button>`,
      )}
    </section>`
  },
  actions: {
    // Only with wrong input. The form is then shown again.
    csv: async ({ tenantId, form }) => {
      const { error } = wantedFrom(tenantId, form)
      throw error ?? new Error('a valid export is no form that failed')
    },
  },
}

const wantedFrom = (tenantId: string, form: object) => {
  const { what, since, until } = lastValues(form)
  return exportRequest.safeParse({
    tenantId,
    what,
    since: since || undefined,
    until: until || undefined,
  })
}

export const exportFile = Router()

// POST, because an export is logged and must not start from a link on another site.
exportFile.post('/tenants/:tenantId/export/csv', async (req, res, next) => {
  const { context } = signedIn(req)
  const form: object = Object(req.body)
  const { data: wanted } = wantedFrom(allowedTenant(context, req.params['tenantId']), form)
  if (!wanted) return next()
  res.attachment(`ringback-${wanted.tenantId}-${wanted.what}.csv`)
  res.type('text/csv')
  await exportCsv(opsDb, context.signIn, wanted, res)
})

const exportTexts = translations(
  {
    title: 'Export',
    help: 'A CSV file for Excel or another spreadsheet, with one line for each call, person, message or number. It holds phone numbers and what people wrote, so keep it safe. Each export is shown in the log.',
    what: 'What to export',
    calls: 'Calls',
    leads: 'People who called',
    messages: 'Messages',
    live_calls: 'Who was on the line',
    exclusions: 'Excluded numbers',
    campaigns: 'Campaigns',
    events: 'Events for other programs',
    since: 'From',
    until: 'To',
    submit: 'Download',
  },
  {
    title: 'ייצוא',
    help: 'קובץ CSV ל־Excel או לגיליון אחר, עם שורה לכל שיחה, אדם, הודעה או מספר. יש בו מספרי טלפון ותוכן של הודעות, ולכן חשוב לשמור עליו. כל ייצוא מופיע בהיסטוריית הפעולות.',
    what: 'מה לייצא',
    calls: 'שיחות',
    leads: 'אנשים שהתקשרו',
    messages: 'הודעות',
    live_calls: 'מי היה על הקו',
    exclusions: 'מספרים מוחרגים',
    campaigns: 'קמפיינים',
    events: 'אירועים למערכות אחרות',
    since: 'מתאריך',
    until: 'עד תאריך',
    submit: 'הורדה',
  },
)
