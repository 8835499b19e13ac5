/** The name of a person or program in the audit log. */
import type { Language } from './language.ts'
import { layoutTexts } from './layout.ts'

/** @returns null for a tenant that was signed in */
export const actorText = (who: string, language: Language): string | null => {
  const { operator, commandLine, apiToken, ownerByWhatsApp } = layoutTexts[language]
  if (who === 'operator') return operator
  if (who === 'command line') return commandLine
  const [, tokenId] = /^api token (\d+)$/.exec(who) ?? []
  if (tokenId !== undefined) return `${apiToken} ${tokenId}`
  return who.startsWith('owner ') ? ownerByWhatsApp : null
}
