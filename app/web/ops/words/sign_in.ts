import { inBoth } from '../language.ts'

export const signInWords = inBoth(
  {
    title: 'Sign in',
    name: 'Name',
    nameHelp: 'operator, or the number your customers dial',
    password: 'Password',
    enter: 'Sign in',
    wrong: 'Name or password is wrong.',
  },
  {
    title: 'כניסה',
    name: 'שם',
    nameHelp: 'operator, או המספר שהלקוחות מחייגים',
    password: 'סיסמה',
    enter: 'כניסה',
    wrong: 'השם או הסיסמה שגויים.',
  },
)
