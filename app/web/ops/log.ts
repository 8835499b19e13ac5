import { Router } from 'express'
import { html } from '../html.ts'
import { when } from './format.ts'
import { page, scopeOf } from './page.ts'
import { logWords } from './words/log.ts'

const AT_ONCE = 50

const changed = (values: unknown) =>
  html`<dl class="values">
    ${Object.entries(Object(values)).map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd dir="auto">${JSON.stringify(value)}</dd>`,
    )}
  </dl>`

export const logPages = Router()

logPages.get(
  '/log',
  page(async (trx, visit) => {
    const words = logWords[visit.language]
    const tenantId = scopeOf(visit)
    const before = /^\d{1,18}$/.test(visit.given['before'] ?? '')
      ? visit.given['before']
      : undefined
    const rows = await trx
      .selectFrom('audit_log')
      .selectAll()
      .$if(tenantId !== null, query => query.where('tenant_id', '=', tenantId))
      .$if(before !== undefined, query => query.where('id', '<', before ?? ''))
      .orderBy('id', 'desc')
      .limit(AT_ONCE)
      .execute()
    const last = rows.length === AT_ONCE && rows.at(-1)
    return {
      name: 'log',
      title: words.title,
      body: html`<h1>${words.title}</h1>
        ${rows.length === 0 && html`<p class="empty">${words.none}</p>`}
        ${
          rows.length > 0 &&
          html`<table class="stack">
            <thead>
              <tr>
                <th>${words.when}</th>
                <th>${words.who}</th>
                <th>${words.what}</th>
                <th>${words.to}</th>
                <th>${words.before}</th>
                <th>${words.after}</th>
              </tr>
            </thead>
            <tbody>
              ${rows.map(
                row =>
                  html`<tr>
                    <td data-label="${words.when}">${when(row.at, visit.language)}</td>
                    <td data-label="${words.who}">${row.who}</td>
                    <td data-label="${words.what}"><code>${row.action}</code></td>
                    <td data-label="${words.to}"><code>${row.subject}</code></td>
                    <td data-label="${words.before}">${changed(row.before)}</td>
                    <td data-label="${words.after}">${changed(row.after)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
        }
        ${last && html`<p><a href="/ops/log?before=${last.id}">${words.older}</a></p>`}`,
    }
  }),
)
