/** Calls, people or messages of a tenant as a file. */
import { Router } from 'express'
import { opsDb } from '../../../db/kysely.ts'
import { exportCsv, exportRequest, EXPORTS } from '../../../privacy/export.ts'
import { signedIn } from '../access.ts'
import { html } from '../html.ts'
import { translations } from '../language.ts'
import { allowedTenant } from '../page.ts'
import { type Section, sectionForm } from './section.ts'

export const exportSection: Section = {
  show: view => {
    const texts = exportTexts[view.context.language]
    return html`<section class="card">
      <h2>${texts.title}</h2>
      <p class="quiet">${texts.help}</p>
      ${sectionForm(
        view,
        'export',
        'csv',
        html`<label
            >${texts.what}
            <select name="what">
              ${EXPORTS.map(what => html`<option value="${what}">${texts[what]}</option>`)}
            </select></label
          >
          <label>${texts.since} <input name="since" type="date" /></label>
          <label>${texts.until} <input name="until" type="date" /></label>
          <button class="main">${texts.submit}</button>`,
      )}
    </section>`
  },
  actions: {},
}

export const exportFile = Router()

// POST, because an export is logged and must not start from a link on another site.
exportFile.post('/tenants/:tenantId/export/csv', async (req, res) => {
  const { context } = signedIn(req)
  const { what, since, until }: Record<string, unknown> = Object(req.body)
  const wanted = exportRequest.parse({
    tenantId: allowedTenant(context, req.params['tenantId']),
    what,
    since: since || undefined,
    until: until || undefined,
  })
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
