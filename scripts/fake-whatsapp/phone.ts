import { parsePhoneNumberFromString } from 'libphonenumber-js'
import { z } from 'zod'

/** A number in E.164 with the '+': how the fake names every person and every business number. */
export const e164 = z.string().regex(/^\+[1-9]\d{5,15}$/, 'expected E.164, such as +972501234567')

/**
 * Whom a `to` really reaches. Meta accepts '+', hyphens, brackets and spaces. Where the '+' is
 * missing it puts the business number's country code in front, whatever the digits are, and the
 * message goes to a stranger (Meta, send messages page).
 */
export const reaches = (to: string, displayNumber: string): string | undefined => {
  const written = to.replaceAll(/[-() ]/g, '')
  const country = parsePhoneNumberFromString(displayNumber)?.countryCallingCode ?? ''
  return e164.safeParse(written.startsWith('+') ? written : `+${country}${written}`).data
}

/** The country in front of a business-scoped user id. */
export const countryOf = (phone: string): string =>
  parsePhoneNumberFromString(phone)?.country ?? 'US'
