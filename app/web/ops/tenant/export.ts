/** Calls, people and messages of a business as a file. */
import { Router } from 'express'
import { opsDb } from '../../../db/kysely.ts'
import { exportCsv, exporting as wanted, EXPORTS } from '../../../privacy/export.ts'
import { html } from '../html.ts'
import { ofTenant, visitOf } from '../page.ts'
import { tenantWords } from '../words/tenant.ts'
import { form, type Section } from './section.ts'

export const exporting: Section = {
  show: about => {
    const { export: words } = tenantWords[about.visit.language]
    return html`<section class="card">
      <h2>${words.title}</h2>
      <p class="quiet">${words.help}</p>
      ${form(
        about,
        'export',
        'csv',
        html`<label
            >${words.what}
            <select name="what">
              ${EXPORTS.map(what => html`<option value="${what}">${words[what]}</option>`)}
            </select></label
          >
          <label>${words.since} <input name="since" type="date" /></label>
          <label>${words.until} <input name="until" type="date" /></label>
          <button class="main">${words.submit}</button>`,
      )}
    </section>`
  },
  deeds: {},
}

export const exportFile = Router()

// Posted, though it changes nothing but the log: a link could be followed from anywhere.
exportFile.post('/tenants/:tenantId/export/csv', async (req, res) => {
  const visit = visitOf(req)
  const { what, since, until }: Record<string, unknown> = Object(req.body)
  const asked = wanted.parse({
    tenantId: ofTenant(visit, req.params['tenantId'] ?? ''),
    what,
    since: since || undefined,
    until: until || undefined,
  })
  res.attachment(`ringback-${asked.tenantId}-${asked.what}.csv`)
  res.type('text/csv')
  await exportCsv(opsDb, visit.signIn, asked, res)
})
