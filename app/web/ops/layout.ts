import { html, type Html } from './html.ts'
import type { Language } from './language.ts'
import { layoutWords } from './words/layout.ts'

/** The pages, in the order in which they stand above each of them. */
export const PAGES = {
  today: '/ops',
  calls: '/ops/calls',
  waiting: '/ops/waiting',
  trouble: '/ops/trouble',
  tenants: '/ops/tenants',
  log: '/ops/log',
} as const
export type PageName = keyof typeof PAGES

/** What a page is, before it is dressed. */
export type Page = {
  name: PageName | null
  title: string
  body: Html
  /** Kept up to date while somebody looks. */
  live?: boolean
  /** A notice above the body: what the last action did. */
  said?: string | null
  /** 400 where it shows a form again because of what was entered. */
  status?: 200 | 400
}

const document = (language: Language, title: string, head: Html | null, body: Html): string =>
  html`<!doctype html>
    <html lang="${language}" dir="${language === 'he' ? 'rtl' : 'ltr'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Ringback</title>
        <link rel="stylesheet" href="/ops/style.css" />
        <link rel="icon" href="/ops/icon.svg" />
        ${head}
      </head>
      <body>
        ${body}
      </body>
    </html>`.html

/** For whoever is not signed in. */
export const bareLayout = (language: Language, title: string, body: Html): string =>
  document(language, title, null, html`<main id="content">${body}</main>`)

type Frame = {
  /** Whether the page could be asked for once more: what is shown this once cannot be had in another language. */
  again: boolean
  language: Language
  signedInAs: string
  isTenant: boolean
  formToken: string
  here: string
}

/** A page with everything around it. */
export const layout = (page: Page, frame: Frame): string => {
  const words = layoutWords[frame.language]
  const item = (name: PageName) =>
    html`<a href="${PAGES[name]}" ${name === page.name && html`aria-current="page"`}
      >${name === 'tenants' && frame.isTenant ? words.tenant : words[name]}</a
    >`
  const names: PageName[] = ['today', 'calls', 'waiting', 'trouble', 'tenants', 'log']
  const csrf = html`<input type="hidden" name="form" value="${frame.formToken}" />`
  return document(
    frame.language,
    page.title,
    page.live === true
      ? html`<script src="/ops/live.js" defer></script>
          <noscript><meta http-equiv="refresh" content="30" /></noscript>`
      : null,
    html`<a class="skip" href="#content">${words.skip}</a>
      <header>
        <a class="brand" href="/ops"
          ><img src="/ops/icon.svg" alt="" width="28" height="28" /> Ringback</a
        >
        <nav aria-label="${words.pages}">${names.map(item)}</nav>
        <div class="who">
          <span>${frame.signedInAs}</span>
          ${
            frame.again &&
            html`<form method="post" action="/ops/language">
              ${csrf}<input type="hidden" name="back" value="${frame.here}" /><button
                class="link"
                name="language"
                value="${frame.language === 'he' ? 'en' : 'he'}"
                lang="${frame.language === 'he' ? 'en' : 'he'}"
              >
                ${words.otherLanguage}
              </button>
            </form>`
          }
          <form method="post" action="/ops/sign-out">
            ${csrf}<button class="link">${words.signOut}</button>
          </form>
        </div>
      </header>
      <main id="content">
        ${page.said && html`<p class="said" role="status">${page.said}</p>`} ${page.body}
      </main>`,
  )
}
