const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A piece of HTML that is safe to put into a page as it is. */
export type Html = { html: string }

/** What may stand in a page; nothing stands for null, undefined and false. */
export type Value = string | number | null | undefined | false | Html | Value[]

const asHtml = (value: Value): string => {
  if (value === undefined || value === null || value === false) return ''
  if (Array.isArray(value)) return value.map(asHtml).join('')
  if (typeof value === 'object') return value.html
  return String(value).replace(/[&<>"']/g, found => entities[found] ?? '')
}

/** Builds HTML; every value is escaped unless it was built by this function itself. */
export const html = (strings: TemplateStringsArray, ...values: Value[]): Html => ({
  html: strings.reduce((text, string, index) => text + asHtml(values[index - 1]) + string),
})
