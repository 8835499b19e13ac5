/** The header and navigation of each page, and the static files. */
import express, { Router } from 'express'
import { fileURLToPath } from 'node:url'
import type { Source } from '../../db/replica.ts'
import { html, type Html } from './html.ts'
import { type Language, translations } from './language.ts'

/** In the order of the navigation. */
const PAGES = {
  today: '/ops',
  leads: '/ops/leads',
  calls: '/ops/calls',
  waiting: '/ops/waiting',
  alerts: '/ops/trouble',
  tenants: '/ops/tenants',
  log: '/ops/log',
} as const
type PageName = keyof typeof PAGES
const PAGE_NAMES: PageName[] = ['today', 'leads', 'calls', 'waiting', 'alerts', 'tenants', 'log']

export type Page = {
  name: PageName
  title: string
  body: Html
  /** The page stays up to date by itself. */
  live?: boolean
  /** The result of the last action. */
  flash?: string | null
  /** 400 = a form is shown again because of what was entered. */
  status?: 200 | 400 | 409
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
        <script src="/ops/page.js" defer></script>
        ${head}
      </head>
      <body>
        ${body}
      </body>
    </html>`.html

/** For the sign-in form and errors. */
export const plainLayout = (
  language: Language,
  title: string,
  body: Html,
  footer: Html | null = null,
): string =>
  document(
    language,
    title,
    null,
    html`<main id="content">${body}</main>
      ${footer && html`<footer>${footer}</footer>`}`,
  )

type LayoutOptions = {
  /** False for the answer to a POST: it cannot be shown again in the other language. */
  canReload: boolean
  source: Source
  language: Language
  signedInAs: string
  isTenant: boolean
  /** False for the pages that need the password, if the visitor came from a link. */
  mayOpen: (path: string) => boolean
  formToken: string
  url: string
}

export const layout = (page: Page, options: LayoutOptions): string => {
  const { language, canReload, source, signedInAs, isTenant, mayOpen, formToken, url } = options
  const texts = layoutTexts[language]
  const other = language === 'he' ? 'en' : 'he'
  const link = (name: PageName) =>
    html`<a href="${PAGES[name]}" ${name === page.name && html`aria-current="page"`}
      >${name === 'tenants' && isTenant ? texts.tenant : texts[name]}</a
    >`
  const pages = PAGE_NAMES.filter(name => mayOpen(PAGES[name]))
  const csrf = html`<input type="hidden" name="form" value="${formToken}" />`
  return document(
    language,
    page.title,
    // Not where something may be typed: it would be lost.
    page.live === true && !page.body.html.includes('<textarea')
      ? html`<noscript><meta http-equiv="refresh" content="60" /></noscript>`
      : null,
    html`<a class="skip" href="#content">${texts.skip}</a>
      <header>
        <a class="brand" href="/ops"
          ><img src="/ops/icon.svg" alt="" width="28" height="28" /> Ringback</a
        >
        <nav aria-label="${texts.pages}">${pages.map(link)}</nav>
        <div class="who">
          <bdi>${signedInAs}</bdi>
          ${pages.length < PAGE_NAMES.length && html`<a class="alone" href="${PAGES.tenants}">${texts.withPassword}</a>`}
          ${
            canReload &&
            html`<form method="post" action="/ops/language">
              ${csrf}<input type="hidden" name="back" value="${url}" /><button
                class="link"
                name="language"
                value="${other}"
                lang="${other}"
              >
                ${texts.otherLanguage}
              </button>
            </form>`
          }
          <form method="post" action="/ops/sign-out">
            ${csrf}<button class="link">${texts.signOut}</button>
          </form>
        </div>
      </header>
      ${
        page.live === true &&
        html`<p id="signed-out" role="alert" hidden>
          ${texts.signedOut} <a class="button" href="${url}">${texts.signInAgain}</a>
        </p>`
      }
      ${page.flash && html`<p class="flash outside" role="status">${page.flash}</p>`}
      <main id="content" ${page.live === true && html`data-live`}>
        ${page.body}${source && html`<p class="quiet">${sourceText(source, texts.source)}</p>`}
      </main>
      ${
        page.live === true &&
        html`<p id="news" role="status" hidden>
          <button type="button" data-new="${texts.news}" data-changed="${texts.changed}">
            ${texts.changed}
          </button>
        </p>`
      }`,
  )
}

const sourceText = (source: NonNullable<Source>, texts: (typeof layoutTexts)['en']['source']) => {
  if (source.from === 'replica') return texts.replica(source.lagSeconds)
  const { because } = source
  return because === 'away' || because === 'behind' ? texts[because] : texts.primary
}

/** Their names never change, so browsers keep them for an hour only. */
export const staticFiles = Router()
staticFiles.get(
  ['/style.css', '/page.js', '/icon.svg'],
  express.static(fileURLToPath(new URL('static', import.meta.url)), {
    setHeaders: res => res.setHeader('Cache-Control', 'public, max-age=3600'),
  }),
)

export const layoutTexts = translations(
  {
    today: 'Today',
    leads: 'People',
    calls: 'Calls',
    waiting: 'Upcoming',
    alerts: 'Needs attention',
    tenants: 'Businesses',
    tenant: 'My business',
    log: 'Log',
    skip: 'Skip to content',
    pages: 'Pages',
    otherLanguage: 'עברית',
    signOut: 'Sign out',
    /** For a visitor who came from a link. */
    withPassword: 'More, with password',
    signedOut: 'You are no longer signed in. This page shows what was known until then.',
    /** # stands for a number. */
    news: 'New: # · show',
    changed: 'There is news · show',
    signInAgain: 'Sign in',
    signedInAgain: {
      form: 'You are signed in again. Nothing was changed yet. Please check the form and send it again.',
      button: 'You are signed in again. Nothing was changed yet. Please do it again.',
    },
    operator: 'operator',
    commandLine: 'command line',
    ownerByWhatsApp: 'the owner, by WhatsApp',
    apiToken: 'API token',
    business: 'Business',
    allBusinesses: 'All businesses',
    chooseBusiness: 'Choose a business',
    show: 'Show',
    back: 'Back',
    errors: {
      400: 'This did not work',
      401: 'Please sign in',
      403: 'Not allowed',
      404: 'This page does not exist, or you may not see it',
      409: 'This is not possible now',
      413: 'Too much text',
      429: 'Too many attempts. Please wait a minute',
      503: 'Not available now. Please try again in a moment',
    },
    /** Only where the service has a read replica. */
    source: {
      replica: (seconds: number) =>
        seconds === 0
          ? 'Up to date · read from the replica'
          : `As of ${seconds} ${seconds === 1 ? 'second' : 'seconds'} ago · read from the replica`,
      primary: 'Up to date',
      away: 'Up to date · the replica is not available',
      behind: 'Up to date · the replica is too far behind',
    },
    formExpired: 'This form is too old. Please go back, reload the page and try again.',
  },
  {
    today: 'היום',
    leads: 'פניות',
    calls: 'שיחות',
    waiting: 'בתור',
    alerts: 'דורש טיפול',
    tenants: 'עסקים',
    tenant: 'העסק שלי',
    log: 'היסטוריית פעולות',
    skip: 'דילוג לתוכן',
    pages: 'דפים',
    otherLanguage: 'English',
    signOut: 'יציאה',
    withPassword: 'עוד, עם סיסמה',
    signedOut: 'החיבור הסתיים. הדף מציג את מה שהיה ידוע עד אז.',
    news: 'חדש: # · הצגה',
    changed: 'יש עדכון · הצגה',
    signInAgain: 'כניסה',
    signedInAgain: {
      form: 'החיבור חודש. דבר עוד לא השתנה. נא לבדוק את הטופס ולשלוח אותו שוב.',
      button: 'החיבור חודש. דבר עוד לא השתנה. נא לבצע את הפעולה שוב.',
    },
    operator: 'מפעיל',
    commandLine: 'שורת הפקודה',
    ownerByWhatsApp: 'בעלי העסק, ב־WhatsApp',
    apiToken: 'מפתח API',
    business: 'עסק',
    allBusinesses: 'כל העסקים',
    chooseBusiness: 'בחירת עסק',
    show: 'הצגה',
    back: 'חזרה',
    errors: {
      400: 'הפעולה לא בוצעה',
      401: 'יש להיכנס',
      403: 'אין הרשאה',
      404: 'הדף לא קיים, או שאין הרשאה לראות אותו',
      409: 'הפעולה לא אפשרית כעת',
      413: 'הטקסט ארוך מדי',
      429: 'יותר מדי ניסיונות. נא להמתין דקה',
      503: 'השירות לא זמין כעת. נא לנסות שוב בעוד רגע',
    },
    source: {
      replica: (seconds: number) =>
        seconds === 0
          ? 'מעודכן · נקרא מההעתק'
          : `נתונים מלפני ${seconds === 1 ? 'שנייה' : `${seconds} שניות`} · נקרא מההעתק`,
      primary: 'מעודכן',
      away: 'מעודכן · ההעתק לא זמין',
      behind: 'מעודכן · ההעתק לא עדכני מספיק',
    },
    formExpired: 'הטופס ישן מדי. נא לחזור, לטעון את הדף מחדש ולנסות שוב.',
  },
)
