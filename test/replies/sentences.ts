/** What people write, one message in each line. */

const lines = (text: string): string[] => text.trim().split(/\n\s*/)

/** Opt-outs, also with the typing mistakes that people make. */
export const OPT_OUTS_ENGLISH = lines(`
  remove my number from your list pls
  stop
  stop please
  Please stop
  stop now
  stop it
  just stop
  stop stop stop
  STOPALL
  stopp
  stopppp
  Unsubscribe me
  unsubscribe please
  unsubscribe from this list
  unsubcribe
  unsuscribe me
  I want to unsubscribe
  opt out
  I want to opt out
  I'd like to opt out of these messages
  remove
  remove me please
  please remove me
  remove me from your list
  remove me from the list
  Remove me from this list please
  remove my number
  please remove my phone number
  Hi, please remove me from your mailing list. Thank you
  take me off
  take me off the list please
  please take my number off your list
  take me of your list
  Take us off your contact list
  delete my number
  delete me from your list
  remove us from the list
  remove this number
  kindly remove my contact from your database
  stop texting me
  please stop texting me
  stop messaging me
  stop writing me
  stop writing to me
  stop calling me
  stop sending me messages
  stop sending me these messages
  stop sending me texts
  stop sending messages
  stop sending
  stop sending me massages
  stop sendin me messages
  stop spamming me
  stop bothering me
  stop the messages
  stop messages
  stop these messages now
  stop all messages
  stop sms
  stop texting me already!
  stop messaging this number
  don't text me
  do not text me
  do not text this number
  don't message me again
  dont msg me
  don't write to me again
  don't contact me
  do not contact me again
  don't send me messages
  don't send me any more messages
  don't send me anything
  do not send messages to this number
  never text me again
  don't call me again
  no more messages
  no more texts
  no more reminders
  no more messages from you
  I don't want messages
  i dont want any messages
  i don't want to get messages from you
  I do not want to receive any more messages
  I no longer wish to receive messages
  I no longer want to receive these messages
  not interested in receiving messages
  I don't want you to text me
  i dont want you texting me anymore
  I want to be removed from your list
  I would like to be removed
  can you remove me from your list
  could you please stop texting me
  please have my number removed
  leave me alone please
  lose my number
  Not interested, please remove me
  No thanks, remove me from the list
  wrong number, stop texting me
  stop and remove me
  remove me and stop texting me
  i said stop
  I asked you to stop messaging me
  cancel
  quit
  end
  Hello Dana, please remove me from your list
  stop sending me this crap
  vxr
  quit texting me
  stop txting me
  stop msging me
  unsub
  opt me out of this list
  I'm opting out
  remove from list
  delete my details from your database
  exclude me from your mailings
  I revoke my consent
  cease and desist sending me messages
  i dont want to be on your list
  I need you to remove me from the list
  you must stop texting me
  Please remove me from this list, thank you!
  pls remove my num from ur list
  REMOVE ME NOW
  Remove my number immediately
  Please take me off your marketing list
  take my number off this list
  plz take me off
  remove me from whatsapp list
  remove us please
  unsubscribe me from all messages
  Unsubscribe from messages please
  please unsubscibe
  I would like to unsubscribe please
  I'd like to unsubscribe from this list
  please opt me out
  stop msgs
  stop msg
  stop the texts please
  stop text messages
  stop sending me whatsapp messages
  stop sending whatsapp
  stop sending me reminders
  stop sending me ads
  please stop sending me these texts
  stop sending those
  please stop messaging
  stop textng me
  stop mesaging me
  stpo texting me
  please stop contacting this number
  stop writing to me please
  don't text me ever again
  Don't text me please
  pls don't send me messages anymore
  dont send me any messages
  do not send me any more texts
  do not contact me
  Do not write me anymore
  no more texts please
  no more msgs
  no more whatsapp messages
  no more messages thanks
  i don't want these messages
  I don't want to receive your messages
  i dont wanna get messages
  I do not wish to be contacted
  we don't want messages
  not interested, remove me from the list
  no thank you please remove me
  Hey, stop texting me
  Hi can you remove my number from your list please
  could you take me off the list
  would you please stop sending me messages
  delete me please
  delete my number please
  pls delete my contact
  I want you to stop messaging me
  you need to remove me from this list
  enough messages
  enough with the texts
  stop harassing me
  stop it please
  stop, thank you
  thanks but stop
  remove my phone number from your records
  please exclude me from your list
  quit sending me messages
  cancel all messages
  stop the notifications
  Please unsubscribe my number from your messages
  unsubsribe
  plz stop msging
  Stop sending me notifications
  can u remove me from ur list
  can u stop texting me pls
  could you stop messaging me thanks
  Kindly remove my number from your mailing list. Thanks!
  take me off ur list thx
  remove me now!!!
  remove me from your mailing list asap
  Please stop sending me text messages
  Do not send me any more messages please
  Don't send me texts anymore
  Dont message me anymore thx
  pls dont text me again
  no more msgs pls
  NO MORE TEXTS
  i dont want ur messages
  I don't want to get any more messages from you
  I do not want to be contacted anymore
  not interested in your messages
  I am not interested, please take me off the list
  stop contacting me please
  stop writing me messages
  stop bothering us
  please stop spamming
  unsubscribe me from everything
  Opt-out!
  opt me out pls
  remove my details from your list
  delete my phone number please
  please erase my number from your system
  quit sending me texts
  quit messaging
  stop sending stuff
  stop the reminders
  cancel the reminders
  leave us alone
  remove messages
  remove all messages
  please remove these messages
  don't send me additional messages
  no additional messages
  no further messages
  remove me from every list
  take me off every mailing list
  remove my number from each of your lists
  remove me from every single list
  remove me from all your lists
  unsubscribe me from everywhere
  stop sending me watsapp messages
  stop sending me whats app messages
  no I want to be removed
  No, I need you to remove me
  no remove me
  no stop texting me
  no can you remove me
  Shalom, stop
  thanks for the message, stop
  thank you for your message but please remove me
  stop, have a nice day
  Good morning Dana, stop
  thanks and remove me
  Happy new year, stop
  remove me permanently
  remove me forever
  permanently remove me from your list
  please delete my number for good
  unsubscribe me permanently
  take me off the list right away
  don't send me a message again
  remove my details
  delete my personal data please
  remove my details and my number
  please delete my data and stop messaging me
  no messages
  no messages please
  no text messages
  no spam
  stop writing
  stop writing!!
  stop enough
  Stop.
  STOP!!!
  stop 🛑
  Stop thanks
  stop thx
  stop pls
  Stop messaging
  Stop messaging me please
  stop it now
  Stop texting
  Stop all texts
  Stop sending texts
  Stop the spam
  stop spam
  stop spaming
  stop this
  Stop sending these
  Stop sending them
  Stop sending me stuff
  Stop sending me things please
  stop sending me anything
  Stop with the messages
  stop whatsapping me
  stop whatsapp
  stop contacting me immediately
  Please stop, thank you
  Please stop!!
  can you stop messaging me
  Can you please stop sending me messages
  Would you kindly remove me from your list
  Kindly unsubscribe me
  Kindly remove
  please unsubscribe
  unsubscribe.
  UNSUBSCRIBE ME NOW
  unsubscribe thanks
  unsubscribe from all
  unsubscribe from your list
  unsubscribe my number
  unsubscribe 0501234567
  Unsubscibe
  unsubscribe me from this
  opt-out please
  optout
  I'd like to opt-out
  I would like to opt out please
  opt me out
  opting out
  please opt me out of messages
  Remove
  REMOVE
  remove pls
  remove me!!
  remove me from this
  remove me from the system
  remove me from your database
  remove me from your contacts
  remove me from your contact list
  remove me from your mailing list
  remove me from all lists
  remove me off your list
  remove us from your list
  remove my contact
  remove my contact details
  remove my phone number from your list
  remove my mobile number
  please take me off this list
  take me off your database
  take me off your mailing list please
  get me off your list
  get me off this list
  please delete my number from your system
  delete my number from your list
  delete my contact info
  delete my data
  erase my data
  erase my number
  no more messages!
  no more sms
  no more spam
  no more texting
  no more reminders please
  No thanks, stop
  no thank you, unsubscribe
  no, stop
  no stop
  not interested, stop
  Not interested. Remove me.
  I'm not interested, please stop messaging me
  wrong number stop
  wrong number. please remove me
  Sorry wrong number, remove me please
  you have the wrong number, stop texting me
  don't message me
  do not message me again
  don't write to me
  don't write me again
  Do not contact me again please
  do not contact
  don't contact me anymore
  don't text this number again
  don't ever text me again
  Don't send me anything else
  Don't send any more messages
  please do not send me messages
  I don't want to receive messages
  I don't want any more messages
  I don't want to receive these messages anymore
  I don't want to get these texts
  I don't want your messages
  I do not consent to messages
  I no longer want messages
  I no longer wish to be contacted
  never contact me again
  never message me again
  leave me alone
  leave me alone!!!
  please leave me alone
  enough!! stop
  enough already, stop
  quit messaging me
  Good evening, please remove me from your list
  Hi there, please stop messaging me. Thanks
  Hello! Kindly remove my number. Regards
  Thanks for reaching out, please remove me
  thank you but please stop messaging
  thanks, but no thanks. remove me
  hi, please permanently delete my data
  Thanks for calling, please stop texting me
  stop, good night
  Hey good morning, take me off your list
`)

/** The same in Hebrew. "vxr" is הסר, typed on an English keyboard. */
export const OPT_OUTS_HEBREW = lines(`
  תפסיקו לשלוח לי הודעות
  הפסקת מבצעים
  די עם ההודעות
  לא מעוניין לקבל הודעות
  נא להסיר את המספר שלי
  תמחקו אותי מהרשימה
  הסר
  הסר בבקשה
  להסיר
  נא להסיר
  להסיר אותי
  נא להסיר אותי מהרשימה
  נא להסיר את המספר שלי מהרשימה
  נא להסיר את מספרי מרשימת התפוצה
  הסירו אותי
  הסירו אותי מהרשימה
  הסירי אותי
  הסר אותי
  הסר אותי מרשימת התפוצה
  הסר אותנו
  תסיר אותי מהרשימה
  תסירי אותי
  תסירו אותי
  תסירו אותי מהרשימה
  תסירו אותי כבר!!!
  תסירו את המספר שלי
  תסירו את המספר הזה
  תסירו אותנו מהרשימה
  תסירו אותי מרשימת התפוצה שלכם בבקשה
  הסיר אותי
  הסרה
  הסרה מהרשימה
  הסרה מרשימת תפוצה
  בקשה להסרה מהרשימה
  תמחקו אותי
  תמחקו אותי מהרשימה שלכם
  תמחק אותי מהרשימה בבקשה
  תמחקו את המספר שלי מהמערכת
  נא למחוק אותי מהרשימה
  מחקו אותי
  תורידו אותי מהרשימה
  להוריד אותי מהרשימה
  תוציאו אותי מהרשימה
  להוציא אותי מרשימת התפוצה
  הפסיקו
  הפסיקו לשלוח לי הודעות
  תפסיקי
  תפסיק לשלוח לי
  תפסיקי לשלוח לי הודעות
  תפסיקו לשלוח לי הודעות בבקשה
  תפסיקו לשלוח
  תפסיקו לשלוח לי כל הזמן הודעות
  תפסיקו עם ההודעות
  תפסיקו כבר עם ההודעות
  תפסיקו עם זה
  תפסיקו להציק לי
  תפסיקו לכתוב לי
  תפסיקו לסמס לי
  תפסיקו לספאם
  נא להפסיק
  להפסיק לשלוח לי הודעות
  די
  די כבר
  די עם ההודעות האלה
  די כבר עם ההודעות
  די להודעות
  מספיק עם ההודעות
  מספיק הודעות
  סטופ הודעות
  עצרו
  תעצרו את ההודעות
  אל תשלחי לי הודעות
  אל תשלחו לי
  אל תשלחו לי יותר הודעות
  אל תשלחו לי הודעות יותר
  אל תשלחו הודעות
  אל תשלחו יותר
  על תשלחו לי הודעות
  אל תישלחו לי הודעות
  אל תכתבו לי יותר
  אל תטרידו אותי יותר
  אל תסמסו לי
  לא לשלוח לי הודעות
  נא לא לשלוח לי הודעות
  בבקשה לא לשלוח לי יותר הודעות
  מבקש לא לשלוח לי הודעות
  לא מעוניינת לקבל הודעות
  אני לא מעוניין לקבל הודעות
  לא מעוניין בהודעות
  לא מעוניינים לקבל הודעות
  לא רוצה לקבל הודעות
  לא רוצה הודעות
  לא רוצה שתשלחו לי הודעות
  אינני מעוניין לקבל הודעות
  אני מבקש להסיר אותי מהרשימה
  אני רוצה להסיר את המספר שלי
  אבקש להסיר את המספר שלי מהרשימה
  אשמח להסרה מהרשימה
  אפשר להסיר אותי מהרשימה
  תוכלו להסיר אותי מהרשימה
  יש להסיר אותי מהרשימה
  רוצה לצאת מהרשימה
  רוצה להתנתק מרשימת התפוצה
  בלי הודעות בבקשה
  ביטול הודעות
  שלום, נא להסיר אותי מהרשימה. תודה רבה
  בוקר טוב, אפשר להסיר אותי מהרשימה תודה
  לא מעוניין, תסירו אותי מהרשימה
  לא מעוניינת. להסיר בבקשה
  תסירו אותי ואל תשלחו לי יותר הודעות
  תעזבו אותי בשקט
  הסירו אותי מהרשימה תודה 🙏
  remove me מהרשימה
  הסר/י אותי
  הסר/י
  הסר\\י אותי מהרשימה
  הסירו/הסירי אותי
  הסר/הסירי אותי
  תסיר/י אותי בבקשה
  תסיר.י אותי
  תסירי/ו אותי מהרשימה
  תסיר/י/ו אותי
  הסר/הסירי/הסירו אותי
  תפסיק/י לשלוח לי הודעות
  אל תשלח/י לי הודעות
  מבקש/ת להסיר אותי
  לא מעוניין/ת לקבל הודעות
  בטל
  בטלי
  לבטל
  בטל/י אותי מהרשימה
  תבטלו אותי מהרשימה
  לבטל הודעות
  בטלי את ההודעות
  לבטל מרשימת התפוצה
  מבקשת להסיר
  תסירו אותי מהאנשי קשר שלכם
  הסירו את מספר הטלפון שלי מהרשימה
  תמחקו לי את המספר
  אני לא רוצה שתשלחו לי יותר הודעות
  אל תשלחו לי הודעות לוואטסאפ
  אל תשלחו לי ווטסאפים
  תפסיקו לשלוח לי שטויות
  היי נועה, תסירו אותי מהרשימה
  הסירו את הטלפון שלי מרשימת התפוצה
  אנא הסירו אותי
  נא הסירו אותי מהרשימה
  נא הסר אותי מהרשימה שלך
  בבקשה להסיר אותי מהרשימה
  תסירו אותי מהרשימות שלכם
  תסירו אותי מהדיוור
  תסיר אותי אחי
  תסירו בבקשה את המספר שלי
  תסירו את המספר שלי מהרשימה שלכם
  תסירו אותי מיידית
  תסירו אוטי
  תסירו אותי מהרישמה
  הסירו אותי מרשימת התפוצה
  הסירו את מספרי
  הסירו נא אותי
  להסיר אותי מיד
  להסיר אותי מהרשימה שלכם
  להסיר את המספר שלי בבקשה
  נא להסיר מהרשימה
  הסרה בבקשה
  מבקש הסרה מהרשימה
  מבקשת להסיר אותי
  אבקש שתסירו אותי
  אני מבקשת להסיר את המספר שלי מהרשימה
  רוצה שתסירו אותי מהרשימה
  אפשר להוריד אותי מהרשימה בבקשה
  תמחקו אותי בבקשה
  תמחק אותי
  תמחקו את מספר הטלפון שלי
  תמחקו אותי מאנשי הקשר
  תורידו אותי מרשימת התפוצה
  הוציאו אותי מהרשימה
  תפסיקו כבר
  תפסיקו לשלוח לי הודעותת
  תפסיקו לשלוח לנו הודעות
  תפסיקו לשלוח לי הודעות ווטסאפ
  תפסיקו לשלוח לי פרסומות
  תפסיקו לשלוח לי הודעות כל הזמן
  תפסיקו לשלוח לי תזכורות
  תפסיקו להציק
  תפסיקו עם הספאם
  תפסיק עם ההודעות
  הפסיקו לשלוח הודעות
  הפסיקו את ההודעות
  נא הפסיקו לשלוח לי הודעות
  נא להפסיק לשלוח הודעות למספר הזה
  די עם זה
  די די די
  מספיק כבר עם ההודעות
  אל תשלח לי יותר
  אל תשלחו לנו הודעות
  אל תשלחו אליי יותר הודעות
  בבקשה אל תשלחו לי יותר הודעות
  נא לא לשלוח לי עוד הודעות
  נא לא להטריד
  לא לשלוח לי הודעות יותר
  לא רוצה לקבל מכם הודעות
  לא רוצה הודעות יותר
  אני לא רוצה הודעות
  אני לא רוצה לקבל הודעות
  אני לא מעוניינת לקבל הודעות מכם
  לא מעוניין בהודעות שלכם
  לא מאשר לשלוח לי הודעות
  איני מעוניין בהודעות
  אל תטרידו
  תעזבו אותי במנוחה
  לא מעוניין, נא להסיר
  היי תסירו אותי מהרשימה תודה
  סטופ בבקשה
  תודה, אבל להסיר אותי
  להפסיק הודעות
  vxr
  תסירו אותי מרשימת ההודעות בבקשה
  תסירו את מספרי
  תסירי את המספר שלי מהרשימה
  תסיר אותי בבקשה מרשימת התפוצה
  הסירו אותי מרשימת הלקוחות
  הסר את מספרי מהרשימה
  הסר אותי מרשימת הדיוור שלך
  נא הסירו את המספר שלי
  נא הסירי אותי
  נא למחוק את מספרי
  נא למחוק אותי ממאגר הנתונים
  נא להוציא אותי מרשימת התפוצה
  נא להפסיק לשלוח לי
  נא להפסיק עם ההודעות
  תמחקו אותי מרשימת התפוצה
  תמחקו אותי מהמאגר שלכם
  תמחק את המספר שלי
  תוריד אותי מהרשימה בבקשה
  תורידי אותי מהרשימה
  תוציאו אותי מרשימת הדיוור
  תפסיקו לשלוח לי הודעות בוואטסאפ
  תפסיקו להציק לי עם ההודעות
  תפסיקי עם ההודעות
  תפסיק לחפור
  תפסיק להטריד אותי
  הפסק לשלוח הודעות
  הפסיקי לשלוח לי הודעות
  די להציק
  די להטריד אותי
  די כבר עם ההודעות שלכם
  מספיק עם ההודעות האלה
  אל תשלחו לי יותר הודעות בחיים
  אל תשלחו הודעות למספר הזה
  אל תשלחי לי
  אל תשלח לי יותר הודעות אחי
  אל תטריד אותי
  אל תציקו לי יותר
  אל תכתוב לי יותר
  לא מעוניין לקבל מכם הודעות יותר
  לא מעוניינת לקבל יותר הודעות תודה
  לא מעוניין לקבל פרסומות
  לא רוצה לקבל הודעות מכם
  לא רוצה שתשלחו לי יותר
  לא רוצה שתכתבו לי יותר
  לא רוצה להיות ברשימה
  לא רוצה להיות ברשימת התפוצה
  אני מבקש להפסיק לקבל הודעות
  אני מבקשת שתסירו אותי
  אני רוצה לצאת מרשימת התפוצה
  אשמח שתסירו אותי מהרשימה
  אבקש להפסיק לשלוח לי הודעות
  אבקש לא לשלוח לי יותר הודעות
  תודה רבה אבל נא להסיר אותי מהרשימה
  היי אפשר להוריד אותי מהרשימה
  שלום אפשר להסיר אותי בבקשה
  בקשה להסרה מרשימת הדיוור
  הסרה מהרשימה בבקשה
  תעיפו אותי מהרשימה
  תנתקו אותי מהרשימה
  תסירו אותי מייד מהרשימה שלכם!!!
  הסירו אותי, תודה
  להסיר מיד
  הסר הודעות
  הסר/י הודעות
  תסירו הודעות
  תסיר את ההודעות
  תסירי לי את ההודעות האלה
  להסיר את כל ההודעות
  נא להסיר הודעות
  אל תשלחו הודעות למספר זה
  נא להפסיק לשלוח הודעות למספר זה
  אל תשלחו הודעות למספרי
  אל תשלחו הודעות למספר הטלפון שלי
  אל תשלחו לי הודעות נוספות
  אל תשלחו לי הודעה נוספת
  לא רוצה לקבל הודעות נוספות
  לא לשלוח הודעות נוספות למספר זה
  להסירני מרשימת התפוצה
  להסירני
  הסירני
  הסירוני
  תסירוני מהרשימה
  אבקש להסירני מרשימת התפוצה
  נא הסירונו מהרשימה
  להסירנו מהרשימה
  נא למחקני מהרשימה
  להורידני מרשימת התפוצה
  להוציאני מהרשימה
  נא לא להטרידני
  אל תטרידוני
  חדלו להטרידני
  תסירו אותי מכל הרשימות
  תסירו אותי מכל הרשימות שלכם
  תסירו אותי מכל רשימות התפוצה
  תסירו אותי מכל רשימה
  תסירו אותי מכל המאגרים
  תסירו אותי מכל ההודעות
  תסירו אותי מהכל
  תמחקו אותי מכל מקום
  להסיר מכל הרשימות
  תפסיקו לשלוח לי ווצאפים
  תפסיקו לשלוח לי ווצאפ
  תפסיקו לשלוח לי ווטצאפים
  תפסיקו לשלוח לי וואטצאפים
  תפסיקו לשלוח לי ווטסאף
  תפסיקו לשלוח לי ווטספים
  אל תשלחו לי הודעות בווצאפ
  די עם הווצאפים
  לבטל אותי מרשימת התפוצה
  לבטל את המנוי להודעות
  בטל מנוי
  לבטל את המנוי
  לבטל לי את המנוי
  לבטל את ההרשמה
  לבטל את ההרשמה לדיוור
  שבת שלום, הסר
  שבת שלום. נא להסיר אותי
  הסר, תודה ושבת שלום
  תודה והסר
  הסר, המשך יום טוב
  הסר. המשך יום נעים
  הסר והמשך יום נעים
  שנה טובה, הסר
  בוקר אור, הסר
  תודה על ההודעה, הסר
  שבת שלום נועה, הסר
  תודה רבה על הפנייה, נא להסיר אותי
  חג שמח, הסירו אותי
  צהריים טובים, נא להסיר אותי מהרשימה
  לילה טוב, תפסיקו לשלוח לי הודעות
  חג חנוכה שמח! נא להסיר
  שבוע טוב, הסר
  הסר, סופ"ש נעים
  ביי והסר
  נא להסיר אותי בהקדם
  נא להסיר אותי מהרשימה בהקדם האפשרי
  הסירו אותי לצמיתות
  להסיר אותי מהרשימה לצמיתות
  אל תשלחו לי הודעה
  אל תשלח לי הודעה
  אל תשלחי לי הודעה בבקשה
  הסר אותי ממאגר המידע
  הסר אותי מקבוצת התפוצה
  נא להסיר אותי מקבוצת הדיוור
  נא למחוק את הפרטים שלי
  מחקו את כל הפרטים שלי מהמאגר
  הסירו את פרטיי
  תפסיקו די
  די תפסיקו די
  תפסיקו לשלוח לי הודעות די
  הסר 0501234567
  הסר אותי 050-2345678
  הסר, 050-2345678
  הסירו אותי בבקשה 🙏🙏
  הסירו אותי מיד!!!
  הסירי אותי מהרשימה בבקשה
  תסירי אותי מהרשימה תודה
  תסירו אותי תודה רבה
  תסירו אותי מהרשימת תפוצה
  תסירו אותי מרשימת תפוצה
  תסירו אותי מהתפוצה
  תסירו אותי מהקבוצת תפוצה
  תסירו אותי מרשימת הוואטסאפ
  הסר אותי מרשימת הדיוור
  נא להסיר אותי מרשימת הדיוור לאלתר
  נא הסירו אותי מרשימת התפוצה שלכם, תודה
  אבקש להסיר אותי מרשימת התפוצה באופן מיידי
  אבקש להסיר אותי לצמיתות
  אבקש הסרה
  אבקש הסרה מרשימת התפוצה
  מבקש הסרה
  מבקשת הסרה מיידית
  בקשת הסרה
  הסרה מיידית
  להסיר בבקשה
  להסיר תודה
  להסיר אותי תודה
  להסיר אותנו מהרשימה
  תורידו אותי מהרשימה תודה
  תורידו אותי מהתפוצה
  תמחקי אותי מהרשימה
  תמחקו את המספר
  תפסיקי לשלוח לי הודעות בבקשה
  תפסיקו לשלוח לי הודעות!!!!
  תפסיקו לשלוח הודעות למספר שלי
  תפסיקו להטריד
  תפסיקו להטריד אותי בהודעות
  תפסיקו להפציץ אותי בהודעות
  תפסיקו לחפור לי
  תפסיקו לחפור
  תפסיק לחפור לי בהודעות
  תפסיקו לסמס
  תפסיקו לשלוח לי וואטסאפ
  תפסיקו לשלוח לי ווטסאפ
  תפסיקו לשלוח סמסים
  תפסיקו כבר לשלוח לי הודעות
  תפסיקו בבקשה
  אפשר להפסיק לשלוח לי הודעות
  אפשר בבקשה להסיר אותי
  אפשר שתסירו אותי
  תוכלו להפסיק לשלוח לי הודעות
  אתם יכולים להסיר אותי
  אתם יכולים להפסיק לשלוח לי הודעות
  אני מבקש שתפסיקו לשלוח לי הודעות
  אני מבקשת שלא תשלחו לי הודעות
  אני דורש להסיר אותי
  דורשת שתסירו אותי מהרשימה
  אני רוצה שתסירו אותי
  אני לא רוצה לקבל מכם הודעות
  אני לא רוצה לקבל הודעות יותר
  אני לא מעוניין לקבל הודעות נוספות
  לא מעוניין בהודעות נוספות
  לא מעוניין יותר בהודעות
  לא מעוניינת לקבל מכם כלום
  לא מעוניין שתשלחו לי הודעות
  לא מעוניין. הסר
  לא מעוניין הסר
  לא רלוונטי, הסר
  לא רלוונטי תסירו אותי
  לא רלוונטית. נא להסיר
  לא צריך תודה, הסר
  לא תודה, תסירו אותי
  כבר לא רלוונטי, נא להסיר
  טעות במספר, הסר
  טעות תסירו אותי
  טעות במספר. נא להסיר אותי מהרשימה
  די לשלוח לי הודעות
  די להציק לי
  די!!!
  דייייי
  די כבר!!!
  נמאס, תסירו אותי
  נמאס כבר מההודעות, הסירו אותי
  מספיק לשלוח לי הודעות
  מספיק להציק
  מספיק עם הספאם
  חלאס עם ההודעות
  סטופ
  סטופ!!!
  סטופ ספאם
  stop הודעות
  אל תשלחו לי יותר כלום
  אל תשלחו לי שום דבר
  אל תשלחו לי יותר הודעה
  אל תשלח לי הודעות בבקשה
  אל תשלחי לי יותר הודעות תודה
  אל תשלחו לי וואטסאפ
  אל תשלחו לי סמסים
  אל תכתבו לי
  אל תכתבי לי יותר
  אל תפנו אליי יותר
  אל תטרידו אותי
  אל תציקו לי
  אל תחפרו לי
  אל תיצרו איתי קשר
  לא ליצור איתי קשר
  נא לא לפנות אליי יותר
  נא לא לשלוח הודעות
  נא לא לשלוח לי יותר
  נא לא להטריד אותי
  בבקשה תפסיקו לשלוח לי הודעות
  בבקשה תורידו אותי מהרשימה
  היי, תורידו אותי מהרשימה בבקשה
  הי, נא להסיר
  שלום, הסר
  שלום רב, נא להסירני מרשימת התפוצה. בברכה
  שלום רב, אבקש להסיר את מספרי מרשימותיכם
  צהריים טובים, הסירו אותי
  ערב טוב, תסירו אותי בבקשה
  חג שמח, הסר
  חג פסח שמח, הסר
  הסר. תודה וחג שמח
  הסר, יום נפלא
  הסר, שיהיה יום טוב
  הסר, ערב טוב
  תודה, הסר
  תודה רבה, הסר אותי
  תודה אבל תסירו אותי
  סליחה, תסירו אותי
  סליחה אבל תסירו אותי מהרשימה
  הָסֵר
  הָסִירוּ אוֹתִי
  תַּפְסִיקוּ
  לְהָסִיר
  להסיר אותיי
  להסיר אוטי
  הסרר
  הסירו אתי
  תסיירו אותי
  תפסיקו לשלח לי הודעות
  תפסיקו לשלוח לי הודאות
  תפסיקו לשלוך לי הודעות
  הסר!!!!!
  הסר הסר הסר
  הסר ❌
  🛑 הסר
  ⛔ תפסיקו
  להסרה
  להסרה מהרשימה
  הסרה מרשימת התפוצה
  עזבו אותי בשקט
  תעזבו אותי לנפשי
  בטלו את ההודעות
  לבטל קבלת הודעות
  ביטול קבלת הודעות
  הפסק הודעות
  הפסקת הודעות
  הפסיקו לשלוח
  הפסיקי
  תוציאי אותי מהרשימה
  תוציאו אותי מהתפוצה
  היי, שבת שלום, הסר
  הסר, תודה ויום טוב
  ערב טוב. הסירו אותי לצמיתות מהרשימה. תודה
  תודה על העדכון, נא להסיר
  ותודה, הסר
  חג סוכות שמח, הסר
  צום קל, הסר
  שבת שלום ותודה, נא להסיר
`)

/** Replies: a negation, a question, or such a word about something else. */
export const REPLIES_ENGLISH = lines(`
  stop?
  stop by tomorrow?
  please stop by tomorrow
  can I stop by
  can you stop by
  don't stop
  do not stop
  don't stop texting me
  don't stop sending me messages
  do not remove me from the list
  do not unsubscribe
  don't opt me out
  I don't want to unsubscribe
  not stop
  why did you remove me
  did you remove me from the list?
  how do I unsubscribe?
  how can I remove gel polish
  remove the polish
  can you remove my nails
  I need to remove a wart
  stop the car
  stop the water
  it doesn't stop bleeding
  next to the bus stop
  one stop shop
  non stop
  cancel my appointment please
  can you cancel
  cancel the order
  I need to cancel
  end of the day
  quit smoking
  at the end of the week
  remove me from the waiting list
  take me off the 5pm
  delete the appointment
  delete the last message
  send me messages
  text me tomorrow
  call me
  call me back
  don't call me, text me
  don't text me, call me
  don't text me today
  don't send me the invoice yet
  don't write, call
  stop messaging me after midnight
  stop calling me Danny
  stop sending the technician
  not interested
  no
  no thanks
  no more
  no more appointments
  yes
  let's not stop now
  the machine will not stop
  stop at 5
  opt for the red one
  how much is it
  I want to remove my number from the reservation
  unsubscribed from what
  please remove the item from my order
  take my order off
  can you take me off hold
  leave me alone with the kids on Tuesday
  remove my appointment
  No more massages for me this week
  stop massages
  I don't need messages
  we don't want you to come
  keep sending me messages
  don't forget to text me
  stop me if you heard this
  remove everything
  drop me a line
  get me on the list
  take me
  I asked you to stop by
  i told you to stop by
  cancel subscription?
  remove me?
  quit?
  how to stop
  will you stop texting if I come
  reply stop to unsubscribe
  To stop, reply STOP?
  stop, wait for me
  Please remove me from the list of people coming at 5
  yes remove it
  stop!? really?
  drop me
  remove my name from tomorrow
  remove my phone
  don't email me
  stop calling, text me
  hi running late, cancel please
  hello don't, stop by later
  no, cancel
  I want to stop
  want to stop by and remove my nails
  Hi, can you call me back please
  I will stop there on my way
  is there a bus stop nearby
  do you stop working at 5
  stop worrying
  it stopped
  we stopped by yesterday
  please don't remove me from the list
  don't take me off your list please
  I didn't say stop
  no need to stop
  you can't stop me
  never remove me
  why do you keep texting me
  who told you to stop texting me
  how do I get off this list
  what does unsubscribe mean
  do I need to unsubscribe
  remove the stitches
  can you remove my braces
  I want to remove my tattoo
  remove them
  remove this
  remove the extra charge please
  take me off the booking
  take my name off the booking
  take my number please
  my number is 0501234567
  new number
  wrong number
  sorry, wrong number
  delete it
  delete my booking
  delete the second order
  option 2
  I opt for Tuesday
  end of month
  the weekend
  quit it or call me
  cancel that
  cancel order 55
  canceled
  cancel on Sunday
  don't cancel
  do not cancel
  send me a message
  please message me
  please text me the address
  write me
  don't text I'm driving
  do not call before 9
  do not call me at work
  no more questions
  no problem
  I don't have messages
  I have no messages
  I don't want to wait
  I don't want to stop
  i don't need anything
  not today thanks
  enough for today
  that's enough
  leave it
  leave a message
  leave me on the list
  put me on the list please
  add me to your list
  unsubscribe my wife
  stop texting him
  stop texting her number
  stop the bleeding
  stop my subscription
  stop delivery
  stop the delivery please
  start the car
  when do we start
  let's start
  I want to start
  not start
  start on Sunday please
  subscribe to what
  join
  my resume
  yes please
  yes start
  take me from here please
  can i get from here
  Stop! I'm outside
  can you stop the alarm
  please stop the subscription renewal
  how long until you stop serving
  I want to stop smoking
  Let's stop here and talk tomorrow
  stop being late
  stop worrying about it
  will stop by
  Don't stop now
  dont stop messaging me
  do not stop sending updates
  please do not remove me
  I never asked you to remove me
  remove the stain please
  can you remove my name from the reservation
  remove my car from the lot
  take me off speaker
  take me off the schedule for Monday
  please cancel my order
  cancel for tomorrow please
  quit my job today
  the end is near
  is this the end
  opt for delivery
  can I opt out of the insurance
  unsubscribe link does not work
  how can I unsubscribe from the newsletter
  no more than 100 shekel
  no more rooms left
  no more sugar please
  text me when ready
  message me later
  don't message before 9
  don't call, text
  don't text me now, I'm driving
  don't text me till Sunday
  stop texting me at night
  stop calling me before noon
  delete my last order
  erase the whiteboard
  enough for two people
  leave me the address
  leave me alone until Sunday
  I want you to stop by my house
  would you stop by later
  no need to remove me
  no need to unsubscribe me
  no need to unsubscribe
  no need to stop texting me
  no need to stop messages
  no need to remove my number
  no need to take me off the list
  no need to opt out
  no need to be removed
  no need remove me
  ok no need to remove me
  hi no need to remove me
  no-need to remove me
  no, no need to remove me
  no wish to be removed
  no want to be removed
  no request to remove me
  no removal request
  no opting out
  no need for you to remove me
  no reason to remove me
  no reason to opt out
  no point in removing me
  there is no need to remove me
  I don't need to opt out
  don't need to remove me
  I don't need you to remove me
  you don't need to remove me
  not necessary to remove me
  no longer want to unsubscribe
  not interested no need to remove me
  I don't want messages to stop
  I don't want you to stop sending me messages
  cancel me
  cancel my subscription
  remove the message
  remove the texts on the wall
  remove text
  remove junk
  remove ads
  remove messages from my phone
  remove the old messages
  don't remove messages
  remove me from every appointment
  remove me from every waiting list
  don't send me every message
  I don't want every message
  thanks for the message
  thanks for stopping by
  thanks for the message, stop by tomorrow
  thanks for the bus stop
  good morning, don't stop
  shalom, can you remove gel
  have a nice stop
  remove permanently
  permanent hair removal
  remove hair permanently
  don't send me a message, call me
  don't send a messenger
  remove my details from the order
  my details are in the mail
  update my details
  delete my data file
  remove the details
  no messages received
  no messages from you yet
  no whatsapp
  no text
  there were no messages
  stop writing on the wall
  don't stop writing
  stop writing the invoice
  stop for good coffee
  don't text me now
  please don't message me now
  don't write me right now
  don't contact me now
  do not contact me yet
  stop by
  I'll stop by
  can I stop by today
  will you stop by
  we will stop by at 4
  stop by the shop
  please stop by when you can
  stop the water leak please
  can you stop the leak
  my car won't stop
  nonstop
  full stop
  bus stop
  last stop
  first stop
  pit stop
  stop light is broken
  stop sign
  the phone doesn't stop ringing
  stop and go
  stop or continue
  stop payment on my check
  stop payment
  stop the order
  stop order 445
  stop my order
  stop the charge
  stop charging me
  stop charging my card
  stop the subscription
  remove the charge
  please remove the charge
  can you remove the charge from my bill
  remove the fee
  remove my tooth
  remove a tooth
  remove the stain
  remove my braces
  remove my gel
  remove nail polish
  remove wallpaper
  remove the tree
  remove old fridge
  remove item 3
  remove one pizza
  remove the second pizza from my order
  remove olives
  remove onions please
  remove my name from the appointment
  remove my appointment please
  remove my booking
  remove me from tomorrow
  remove me from the 5pm class
  remove me from the class
  remove me from the group lesson
  remove us from the reservation
  take me off the class list for Sunday
  take me off tomorrow's list
  delete my appointment
  delete my order
  delete my account
  delete my last message
  delete that
  delete this message
  delete the photo
  cancel my booking
  cancel tomorrow
  cancel Sunday please
  please cancel my appointment for today
  can I cancel
  I want to cancel my appointment
  I need to cancel for tomorrow
  cancel it
  cancel the order please
  cancel both
  cancel the delivery
  cancel the meeting
  cancel the visit
  end date
  end of contract
  at the end
  quit claim
  no need
  no need thanks
  no need anymore
  no need to call
  no need to come
  no need to call back
  no need, solved
  No thanks
  no thank you
  no, thanks
  not now
  not interested thanks
  not relevant
  not relevant anymore
  I no longer need it
  no longer relevant
  no longer needed
  don't call
  don't call me now
  don't come
  don't come today
  don't bother
  don't worry
  don't send it
  don't send the guy
  don't send anyone
  don't send the technician today
  do not send the package
  do not disturb after 10
  don't want it
  I don't want the appointment
  I don't want to come
  I don't want to pay
  why are you texting me
  who is this
  who is this stop
  how did you get my number
  is this a bot
  what does stop do
  what if I write stop
  should I write stop
  I wrote stop
  I already said stop yesterday and you still text
  reply STOP
  To get no more messages, reply: STOP
  you wrote "reply STOP"
  "stop" is not working
  the word stop
  type stop
  text me the address
  text me your hours
  message me tomorrow
  send me messages here
  send messages in hebrew
  stop in at noon
  stop over
  I can't stop
  stop him
  stop them
  stop there
  stop here
  stop near the gate
  please stop at the gate
  stop for a minute
  stop waiting
  stop working
  stop selling
  do you stop at 5
  when do you stop
  is there a stop near you
  unsubscribe from gym
  unsubscribe my son
  unsubscribe from the course
  opt out of the insurance
  opt out of the tip
  leave me a message
  leave me your number
  leave us a review
  leave message
  lose weight
  I lost my number
  lost number
  my number changed
  my number is 0501234567 remove the old one
  change my number
  update my number to 0501234567
  don't remove it
  do not remove my number
  do not delete my number
  please keep my number
  keep me on the list
  am I on the list
  put me on the waiting list
  list please
  price list
  which list
  send me the list
  remove from cart
  removed
  removal of a tree
  removal
  hair removal
  tattoo removal price
  snow removal
  junk removal
  wart removal please
  remove junk from my yard
  junk remover
  text
  spam
  message
  messages
  no answer
  no message
  no reply
  no signal
  no service
  no more bread
  no more time
  no more slots
  never mind
  never
  nevermind, stop by tomorrow
  thanks for the call
  thanks for your message
  thanks for calling
  thank you for your time
  thanks for reaching out, when can you come
  good morning
  good evening, are you open
  have a nice day
  shabbat shalom
  happy new year
  good morning, I need to cancel
  good morning, stop by
  no, my number is 0501234567
  remove my data from the invoice
  delete my data plan
  remove forever stains
  thanks and remove the gel
  stop 5
  stop 12:30
  remove 3
  no messages, please call
  no, good morning
  stop, don't stop
  thanks for stopping
`)

/** The same in Hebrew. */
export const REPLIES_HEBREW = lines(`
  תפסיקו את המים?
  מתי אפשר להסיר לק?
  אל תסירו אותי
  לא להסיר
  לא להסיר אותי
  אל תסירו אותי מהרשימה
  אל תסיר
  אל תמחקו אותי
  אל תפסיקו
  אל תפסיקו לשלוח לי הודעות
  בבקשה אל תפסיקו
  לא רוצה שתסירו אותי
  לא מעוניין להסיר
  לא ביקשתי להסיר אותי
  אל תעצרו
  מתי אפשר להסיר לק
  אני רוצה להסיר לק
  להסיר ג'ל
  הסרת שיער בלייזר
  הסרת לק ג'ל
  אפשר הסרה
  הסרת משקפיים
  להסיר את הקעקוע
  מסירים גם תפרים?
  תפסיקו את המים
  תפסיקו לעשן
  אני מנסה להפסיק לעשן
  תספיקו לשלוח לי היום
  תספיקו
  תשלחו לי הודעה
  תשלחו לי הודעות
  אל תשלחו לי את ההזמנה
  אל תשלחו לי הודעות בשבת
  אל תשלחו לי הודעה, תתקשרו
  אל תתקשרו אליי
  אל תתקשרו אליי היום
  אל תכתבו לי, תתקשרו
  די קרוב
  זה די דחוף
  מספיק
  מספיק לי תור אחד
  עצור כאן
  אפשר לעצור לידכם
  תחנת עצור
  הפסקת צהריים
  הפסקת חשמל
  יש הפסקת מים
  לא מעוניינת
  לא רלוונטי
  לא
  תודה
  היי
  תסירו אותי מהתור
  תורידו אותי מרשימת ההמתנה
  תורידו אותי
  תוציאו אותי מהקבוצה
  הסר אותי מהתור של מחר
  תמחקו את ההודעה
  לבטל תור
  ביטול תור
  אני רוצה לבטל
  בטלו לי את התור של מחר
  להסיר את זה
  תסירו לי
  רוצה להסיר
  אפשר להפסיק
  איך אני מפסיק לקבל הודעות
  איך מפסיקים את ההודעות?
  למה הסרתם אותי מהרשימה
  כבר הסרתם אותי
  הוא הסיר אותי
  מי הסיר אותי
  אתם תסירו אותי
  להסיר אותי?
  אפשר להסיר אותי מהרשימה?
  די?
  עזבו
  עזוב
  לקבל הודעות
  מעוניין לקבל הודעות
  לא קיבלתי הודעות
  אין לי הודעות
  אני לא רוצה תור
  לא רוצה לקבל טיפול
  לא רוצה שתשלחו טכנאי
  תחזרו אליי
  מתי מתחילים
  תפסיקו לשלוח את השליח לבניין הלא נכון
  תמחקו אותי מהתור
  הורידו לי את המחיר
  סטופ אני מגיע
  מספיק לשלוח לי הודעה
  די הודעה אחת
  תבטלו את ההודעה
  לא לשלוח לי
  לא, לבטל
  רוצה הסרה של הגל
  הסירו לי את הקרס
  הסירי לי את הגל בבקשה
  תסירו את השלט
  תסירו אותו
  תסירו אותם
  להסיר משקפיים
  להסיר שומה
  להסיר שיער
  להסיר אבנית
  להסיר ג׳ל ולשים לק
  מתי להסיר
  אפשר להסיר
  רוצה לקבוע להסיר לק
  צריכה להסיר
  אל תסירו
  אל תסירו לי
  אל תסירו את המספר שלי
  אל תוציאו אותי מהרשימה
  אל תפסיקי
  לא להפסיק לשלוח לי הודעות
  לא צריך להסיר אותי
  אין צורך להסיר אותי
  לא רוצה להפסיק לקבל הודעות
  לא אמרתי להסיר אותי
  מי אמר להסיר אותי
  למה תסירו אותי
  איך אפשר להסיר אותי מהרשימה
  איך מסירים
  מה קורה אם כותבים הסר
  להסרה השיבו הסר
  כתבתי הסר ולא הסרתם
  הסרתם אותי בטעות תחזירו
  די מהר
  די נחמד
  עוד די הרבה
  מספיק חמש דקות
  זה מספיק
  לא מספיק
  יש מספיק זמן
  לעצור
  עצרו ליד הבית
  תעצרו לי מונית
  תפסיקו את הרעש
  תפסיקו את העבודה
  תפסיקו את המשלוח
  תפסיקו לשלוח לי חשבוניות כפולות
  מתי תפסיקו
  הפסקתי
  להפסיק את המנוי לחדר כושר
  להפסיק לקחת את הכדורים
  לשלוח לי
  תשלחו לי
  שלחו לי הודעה
  שלח לי הודעות
  אל תשלחו לי טכנאי
  אל תשלחו עדיין
  אל תשלחו לפני שמונה
  אל תשלחו לי הודעות עד מחר
  אל תכתבו לי עכשיו אני בנהיגה
  אל תדאגו
  אל תתקשרו אליי תכתבו
  אל תפנו ימינה
  אל תמחקו
  תמחקו את זה
  תמחק את ההודעה האחרונה
  מחק
  תורידו את המחיר
  תורידו אותי ברחוב הרצל
  להוריד אותי
  להוריד מהחשבון
  תוציאו חשבונית
  ביטול הזמנה
  תבטלו
  לבטל לי
  לבטל את זה
  לבטל את התור
  בטל את התור שלי
  בטלי את ההזמנה
  בטל/י את התור
  לבטל את המנוי לספרייה
  לבטל את הרישום לשיעור
  אל תבטלו את המנוי
  לא, בטלי
  בטל את הפגישה מהרשימה
  אפשר לבטל
  הסר/י את הגבס
  תסיר/י לי לק
  אל תסיר/י אותי
  הסר/תקן
  תסירו/תביאו
  לא מעוניינת בתור
  לא רוצה לבטל
  לא קיבלתי את ההודעה
  לא שלחתי הודעות
  לא לשלוח היום
  לא לשלוח טכנאי
  לא לכתוב
  לא להתקשר אליי
  בלי לק
  אין הודעות
  רשימה
  מהרשימה
  תוסיפו אותי לרשימה
  תחזירו אותי
  להתחיל
  מתחילים
  התחלנו
  רוצה להצטרף
  תעזבו הודעה
  תוציאו אותי מכאן
  קחו אותי מפה
  אל תמחקו לי את התור
  אל תסירו את השם שלי
  לא להוריד אותי מהרשימה
  אל תפסיקו עם ההודעות
  תמשיכו לשלוח לי הודעות
  תסירו את הגדר
  להסיר את הקבוצה
  הסרת קעקועים
  הסרת נקודות חן
  כמה זמן לוקח להסיר ג'ל
  אפשר להסיר תפרים אצלכם
  מתי אפשר להוריד את הגבס
  תורידו מחיר
  תורידו את המזגן
  תוציאו לי חשבונית
  תוציא אותי מפה
  תפסיקו לצפור
  תפסיקו את השיפוצים
  תפסיקו לאחר
  תפסיק לדאוג
  די כבר עם האיחורים
  די עם הרעש
  די לי
  מספיק עם התירוצים
  אל תשלחו את החבילה
  אל תשלחו לי חשבונית
  אל תשלחו לפני יום ראשון
  אל תשלחו לי הודעות אחרי עשר
  אל תשלחו לי הודעות לעבודה
  אל תכתבו לי באנגלית
  אל תתקשרו לפני תשע
  אל תתקשרו אליי, תשלחו הודעה
  לא רוצה לקבל את החבילה
  לא רוצה לקבל שיחות בערב
  לא מעוניין לקבל הצעת מחיר
  לא מעוניינת לקבל טיפול היום
  לא רוצה שתבואו
  לא רוצה להיות ברשימת המתנה
  אני רוצה להסיר את האיפור
  אני רוצה למחוק את ההזמנה
  רוצה לצאת מוקדם
  עצור לי מונית
  לעצור את החידוש
  ביטול פגישה
  לבטל את הפגישה
  הודעות שלכם לא מגיעות
  למה אתם שולחים לי הודעות
  מי נתן לכם את המספר שלי
  איך הגעתם למספר שלי
  איך יוצאים מהרשימה
  כמה פעמים צריך להגיד להסיר
  תסירו?
  אין צורך להסיר את המספר שלי
  אין צורך להסיר אותי מהרשימה
  אין צורך להפסיק לשלוח לי הודעות
  אין צורך בהסרה מהרשימה
  אין סיבה להסיר אותי
  אין טעם להסיר אותי מהרשימה
  אין לי צורך להסיר אותי
  לא צריך להפסיק לשלוח לי הודעות
  לא צריך למחוק אותי
  לא חייבים להסיר אותי
  לא חובה להסיר אותי
  לא צריך להסיר הודעות
  אל תסירו הודעות
  לא להסירני
  אל תסירוני
  אין צורך להסירני
  הסירוני מהתור
  להסירני מהתור של מחר
  להורידני ברחוב הרצל
  הסירנו את הלק
  תבטלו אותי
  בטלו אותי
  לבטל אותי
  בטל אותי
  בטלי אותי
  אפשר לבטל אותי
  רוצה לבטל אותי
  תבטלו אותי מהתור
  לבטל אותי מרשימת ההמתנה
  לבטל אותי מהרשימה של מחר
  הסר הודעה
  תסיר את ההודעה
  תסירו הודעות ישנות
  תסירו את ההודעות של אתמול
  תמחקו את ההודעות
  להסיר פרסומות
  להסיר ווטסאפ
  אל תשלחו את החשבונית למספר זה
  תשלחו הודעות למספר זה
  תשלחו לי הודעות נוספות
  אל תשלחו לי קבצים נוספים
  לא רוצה טיפולים נוספים
  תסירו אותי מכל התורים
  תסירו אותי מכל רשימות ההמתנה
  תשלחו לי ווצאפ
  להסרה השיבו: הסר
  שבת שלום
  שבת שלום, מתי אתם פתוחים
  שבת שלום הסרת לק
  תודה על ההודעה
  תודה על ההסרה
  תודה שהסרתם אותי
  המשך יום נעים
  המשך יום נעים ואל תסירו אותי
  המשך הטיפול
  הסר את המשך הטיפול
  שנה טובה, אל תסירו
  בוקר אור, אפשר לבטל תור
  תודה והסרת לק
  להסיר בהקדם שיער ברגליים
  הסרה לצמיתות
  להסיר לצמיתות
  בהקדם
  בהקדם האפשרי
  לצמיתות
  אל תשלחו הודעה
  אל תשלחו לי הודעה מחר
  תוציאו אותי מקבוצת הריקוד
  הסר אותי מקבוצת יום שלישי
  תמחקו את הפרטים של ההזמנה
  הפרטים שלי אותו דבר
  אל תמחקו את הפרטים שלי
  אל תפסיקו די
  די לתספורת
  אל תכתבו לי עכשיו
  אל תשלחו לי הודעות עכשיו
  נא לא לשלוח לי הודעות כרגע
  להסיר לק ג׳ל מחר
  להסיר את הגבס
  להסיר עובש
  להסיר גרפיטי
  להסיר מדבקה מהרכב
  להסיר טפטים
  להסיר את החיוב
  תסירו את החיוב
  הסירו את החיוב בבקשה
  תסירו לי את החיוב מהחשבון
  תסירו את העמלה
  הסרת גבות
  הסרת שיער
  הסרת תפרים
  הסרת טפט
  הסרה של יבלת
  הסרת יבלות
  הסרת אבנית
  כמה עולה הסרה
  כמה עולה להסיר
  הסרה כמה עולה
  אפשר לקבוע הסרה
  תור להסרה
  רוצה תור להסרה
  תור להסרת לק
  אני צריכה הסרה ובנייה
  להסיר ולבנות
  להסיר ולמלא
  הסרה ומילוי
  הסרה ולק חדש
  לבטל את התור שלי
  לבטל תור למחר
  ביטול התור
  צריכה לבטל
  צריך לבטל את התור
  אני מבטלת
  מבטל
  בטלו
  תבטלו בבקשה
  תבטלו לי
  לבטל בבקשה את הפגישה
  אפשר לבטל את ההזמנה
  בטל הזמנה
  לבטל עסקה
  לבטל כרטיס
  לבטל חוזה
  אין צורך
  אין צורך תודה
  אין צורך יותר
  אין צורך להתקשר
  אין צורך בתור
  כבר לא צריך
  לא צריך
  לא צריך תודה
  לא צריכה יותר
  כבר לא רלוונטי
  לא רלוונטי תודה
  הסתדרתי
  הסתדרתי תודה
  לא תודה
  לא, תודה
  לא מעוניין
  לא מעוניינת תודה
  לא עכשיו
  לא היום
  לא מתאים לי
  די טוב
  די יקר
  די דחוף לי
  די בטוח
  זה די הרבה
  מספיק טוב
  מספיק תודה
  מספיק לי
  תפסיקו לעבוד
  תפסיקו את האזעקה
  תפסיקו את הטיפול
  תפסיקו לחייב אותי
  תפסיקו לגבות ממני
  תפסיקו את החיוב
  הפסקתם את המים
  הפסקת עישון
  יש הפסקה
  בהפסקה
  באיזה שעה ההפסקה
  עצרו את ההזמנה
  עצור את המשלוח
  תעצרו את המשלוח
  תעצור לידי
  עצור בצד
  אל תתקשרו
  אל תתקשרו היום
  אל תתקשרו אליי עכשיו
  אל תבואו
  אל תבואו היום
  אל תשלחו
  אל תשלחו שליח
  אל תשלחו את המשלוח
  אל תשלחו היום
  אל תשלחו לי את החשבונית
  אל תשלחו לי קבלה
  אל תשלחו לי טכנאי היום
  אל תשלחו לי הודעה עכשיו
  אל תשכחו אותי
  אל תשכחו לשלוח לי הודעה
  אל תמחקו אותי מהרשימה
  אל תמחקו את המספר
  אל תורידו אותי מהרשימה
  לא להסיר אותי מהרשימה
  לא להסיר בבקשה
  לא ביקשתי הסרה
  לא אמרתי הסר
  לא כתבתי הסר
  למה הסרתם
  למה אתם כותבים לי
  למה כתוב להסרה השיבו הסר
  מה זה הסר
  מה זה להסרה
  רשום להסרה השיבו הסר
  כתוב "הסר"
  אם אכתוב הסר מה יקרה
  תוסיפו אותי
  תוסיפו אותי לרשימת ההמתנה
  תרשמו אותי לרשימה
  אני ברשימה
  מהרשימה של מחר
  תורידו אותי מהתור
  תורידו אותי ליד הבית
  תורידו לי את המחיר
  תורידו הנחה
  תוציאו אותי מרשימת ההמתנה
  תוציאו אותי מהשיעור
  תמחקו את התור
  תמחקו את ההזמנה שלי
  תמחקו לי את ההזמנה
  מחק את התור שלי
  תמחק את הקודם
  תעזבו את זה
  עזבו לא משנה
  עזוב תודה
  תשלחו לי הודעה כשפנוי
  תשלחו לי פרטים
  תשלחו לי הודעות בוואטסאפ
  לא קיבלתי הודעות מכם
  לא הגיעה הודעה
  קיבלתי הודעה
  יש לי הודעות ממכם
  טעות
  טעות במספר
  טעות שלי
  טעות בשעה
  טעות בחשבונית, תסירו את החיוב
  נמאס לי לחכות
  נמאס מהתור הזה
  לא ליצור קשר היום
  אל תיצרו קשר עם אשתי
  אל תיצרו איתי קשר היום
  לא רוצה לקבל כלום
  להתקשר איתי
  תחזרו אליי בבקשה
  המשך טיפול
  המשך יום טוב
  שבת שלום ומבורך
  שנה טובה ומתוקה
  תודה על השירות
  תודה על הכל ושנה טובה
  יום טוב, תפסיקו את המים
  שבוע טוב, לא להסיר
  הסר את המידע מהחשבונית
  הסירו את פרטי המשלוח
  תודה והסר את הלק
  הסר 2 שיניים
  נמאס
  נמאס לי
  לא צריך, תודה
  תודה על הכל
`)

/** The same in Russian and Arabic. */
export const OPT_OUTS_OTHER_LANGUAGES = lines(`
  стоп
  стоп, спасибо
  стоп пожалуйста
  Стоп, большое спасибо
  Здравствуйте! Стоп
  не писать мне, пожалуйста
  не пишите мне
  Не пишите мне больше
  больше не пишите мне
  إيقاف
  إيقـاف
  إيقاف من فضلك
  إيقاف لو سمحت
  إيقاف، شكرًا
  مرحبا، إيقاف
  إيقاف الرسائل من فضلك
  Доброе утро, стоп
  Добрый вечер! Стоп
  стоп, хорошего дня
  صباح الخير، إيقاف
  السلام عليكم ورحمة الله وبركاته، إيقاف
  إيقاف، شكرا على الرسالة
  توقف
  توقفوا
  توقفوا عن إرسال الرسائل
  توقف عن مراسلتي
  إلغاء الاشتراك
  الغاء
  الغاء الاشتراك
  أريد إلغاء الاشتراك
  الغوا اشتراكي من فضلكم
  لا ترسلوا لي رسائل
  لا ترسل لي رسائل بعد الآن
  لا ترسلوا لي أي رسائل
  لا تبعتولي رسائل
  ما تبعتولي رسايل
  لا تراسلوني
  لا تراسلني مرة أخرى
  لا أريد رسائل
  لا أريد استلام رسائل منكم
  ما بدي رسائل
  احذفوني من القائمة
  احذفوا رقمي
  الرجاء حذف رقمي
  أوقفوا الرسائل
  أوقف الرسائل فورا
  لا تزعجوني
  كفى رسائل
  مرحبا، توقفوا عن مراسلتي، شكرا
  صباح الخير، الرجاء إلغاء الاشتراك
  اتركوني وشأني
  отписаться
  Отписаться от рассылки
  отписатся
  отпишите меня
  Отпишите меня от рассылки, пожалуйста
  Здравствуйте, отпишите меня пожалуйста
  хочу отписаться
  я хочу отписаться от рассылки
  не присылайте мне сообщения
  Не присылайте мне больше сообщений
  не присылайте мне ничего
  больше не присылайте мне сообщения
  не шлите мне смс
  не отправляйте мне сообщения
  не надо мне писать
  перестаньте писать
  перестаньте мне писать
  Перестаньте присылать сообщения
  прекратите рассылку
  прекратите присылать мне сообщения
  хватит писать
  хватит мне писать!
  хватит спамить
  больше не пишите
  мне больше не пишите
  не пишите мне больше никогда
  не хочу получать сообщения
  я не хочу получать от вас сообщения
  не хочу больше получать сообщений
  удалите меня из базы
  удалите меня из списка
  удалите мой номер
  удалите мой номер из вашей базы данных
  уберите меня из рассылки
  исключите меня из списка рассылки
  стоп рассылка
  без рассылки
  отключите рассылку
  отмените подписку
  удалите мои данные
  не беспокойте меня больше
  не беспокойте
  оставьте меня в покое
  отстаньте
  нет, больше не пишите
  Добрый день! Не пишите мне, пожалуйста. Спасибо
  Удалите меня из базы и не пишите мне
  стоп!
  Стоп.
  СТОП СТОП
  Стоп, спасибо!
  стоп спам
  отписка
  отписать меня
  отпишите нас
  отпишите мой номер
  прошу отписать меня от рассылки
  прошу удалить мой номер
  прошу удалить меня из базы
  прошу больше не писать
  прошу не писать мне
  прошу не беспокоить
  просьба больше не писать
  просьба не писать мне
  пожалуйста, не пишите мне больше
  пожалуйста удалите мой номер
  пожалуйста, удалите меня из списка рассылки
  удалите мой номер телефона
  удалите меня
  удалите мой контакт
  уберите мой номер из базы
  уберите меня из списка
  вычеркните меня из списка
  не пишите мне больше!
  больше мне не пишите
  не надо мне больше писать
  не нужно мне писать
  не шлите мне сообщения
  не шлите сообщения
  не присылайте больше сообщений
  не присылайте мне больше ничего
  не присылайте мне рекламу
  не отправляйте мне больше сообщения
  не хочу получать ваши сообщения
  не хочу получать рассылку
  не хочу никаких сообщений
  я больше не хочу получать сообщения
  хватит присылать сообщения
  хватит мне присылать сообщения
  хватит спама
  прекратите писать
  прекратите мне писать
  прекратите спамить
  прекратите отправлять сообщения
  прекратите
  перестаньте слать сообщения
  перестаньте мне слать смс
  перестаньте
  перестань писать
  отказ от рассылки
  отказаться от рассылки
  отключите уведомления
  отмените рассылку
  отменить рассылку
  Не интересно, удалите мой номер
  вы ошиблись номером, не пишите мне
  Привет, отпишите меня
  Здравствуйте! Удалите, пожалуйста, мой номер
  Добрый вечер, не пишите мне больше. Спасибо
  ايقاف
  أوقف
  أوقفوا
  أوقفوا الرسائل من فضلكم
  ايقاف الرسائل
  وقف الرسائل
  وقفوا الرسائل
  توقف من فضلك
  توقفوا عن ارسال الرسائل لي
  توقفوا عن الإرسال
  توقفوا عن إزعاجي
  توقفوا عن مراسلتي من فضلكم
  الرجاء التوقف عن إرسال الرسائل
  ارجو التوقف عن مراسلتي
  ارجو ايقاف الرسائل
  الغاء الاشتراك من فضلك
  الغاء اشتراك
  إلغاء اشتراكي
  بدي الغي الاشتراك
  الغي الاشتراك
  الغاء الرسائل
  احذف رقمي
  احذفوا رقمي من القائمة
  احذفوني
  احذفني من القائمة
  شيلوني من القائمة
  شيلوا رقمي
  امسحوا رقمي
  ازيلوني من القائمة
  إزالة رقمي
  الرجاء ازالة رقمي من قائمتكم
  الرجاء حذف رقمي من القائمة
  الرجاء عدم ارسال رسائل
  الرجاء عدم التواصل معي
  لا ترسلوا لي
  لا ترسل لي
  لا ترسلوا رسائل
  لا ترسلوا لي المزيد من الرسائل
  لا تبعتوا لي رسائل
  لا تبعثولي رسائل
  لا تبعتولي
  ما تبعتولي
  لا تكتبوا لي
  لا تراسلوني بعد اليوم
  لا تتواصلوا معي
  لا اريد رسائل
  لا أريد استلام رسائل
  لا أريد تلقي رسائل منكم
  لا ارغب في تلقي الرسائل
  ما بدي رسائل منكم
  مش عايز رسائل
  بكفي رسائل
  كفاية رسائل
  شكرا، توقف
  شكرا لكم، الغاء
  Спокойной ночи, стоп
  Спасибо за звонок, не пишите мне больше
  شكرا جزيلا، الغاء الاشتراك
  السلام عليكم، احذفوا رقمي
`)

export const REPLIES_OTHER_LANGUAGES = lines(`
  стоп завтра
  не стоп
  спасибо
  не пишите
  не пишите мне сегодня
  не пишите мне, звоните
  не писать ему
  пишите мне
  чтобы больше не получать сообщений, ответьте: СТОП
  لا إيقاف
  شكرا
  إيقاف السيارة
  لا توقف الرسائل
  لإيقاف الرسائل يرجى الرد بكلمة: إيقاف
  Доброе утро
  Доброе утро, не стоп
  спасибо за сообщение
  صباح الخير
  صباح الخير، لا توقف الرسائل
  не переставайте писать
  не переставайте мне писать
  не прекращайте рассылку
  не отписывайте меня
  не надо отписывать меня
  не удаляйте меня из списка
  не хочу отписаться
  не хочу отписываться
  не надо отменять подписку
  как отписаться
  как отписаться от рассылки?
  почему вы мне пишете
  пишите мне завтра
  не пишите мне сейчас
  не пишите мне до вечера
  не пишите мне на почту
  не присылайте мне счёт
  не присылайте курьера
  не отправляйте заказ
  не надо писать, позвоните
  перестаньте опаздывать
  прекратите шуметь
  хватит на двоих
  хватит одного
  больше не надо
  не звоните мне сегодня
  удалите меня из записи
  удалите меня из списка ожидания
  удалите мою запись
  удалите сообщение
  уберите меня с завтра
  отмените запись
  отменить запись на завтра
  отмена
  отключите воду
  не хочу ждать
  не хочу получать посылку
  я не получал сообщений
  нет сообщений
  стоп кран
  нет, не надо
  я не просил отписать меня
  вы меня отписали?
  لا تتوقفوا
  لا تتوقفوا عن إرسال الرسائل
  لا تلغوا الاشتراك
  لا أريد إلغاء الاشتراك
  لا تحذفوني من القائمة
  لا تحذفوا رقمي
  كيف ألغي الاشتراك
  إلغاء الموعد
  إلغاء موعد الغد
  أريد إلغاء الحجز
  لا أريد الموعد
  توقف السيارة هنا
  توقف المطر
  موقف السيارات
  لا ترسلوا الطلب
  لا ترسلوا لي الفاتورة
  لا ترسلوا لي رسائل اليوم
  أرسلوا لي رسالة
  ارسلوا لي رسائل
  لا تتصلوا بي، اكتبوا لي
  لم أستلم رسائل
  ما وصلتني رسائل
  احذفوا الموعد
  لا
  كفى مزاح
  متى تتوقفون عن العمل؟
  لا تكتبوا لي الآن
  шина снята, удалите пробой
  удалите зуб
  удалить зуб
  удаление волос
  удалить бородавку
  уберите мусор
  уберите из заказа колу
  уберите меня из заказа
  отмена записи
  отменить заказ
  отмените мою запись
  прекратите работы
  остановите доставку
  стоп игра
  остановка автобуса
  не надо
  не нужно
  не надо, спасибо
  не надо звонить
  не надо приезжать
  не звоните
  не звоните сегодня
  не пишите, а звоните
  не присылайте мастера
  не присылайте сегодня
  не отправляйте посылку
  не хочу
  не хочу записываться
  не хочу приходить
  напишите мне
  отпишитесь, когда освободитесь
  отпишите мне завтра
  пришлите мне сообщение
  удалите меня из очереди
  не интересно
  ошиблись номером
  мне интересно
  надо удалить зуб
  хочу удалить зуб
  хочу отменить запись
  можно отменить
  إلغاء الموعد من فضلك
  اريد الغاء الموعد
  الغاء الحجز
  الغاء الطلب
  لا شكرا
  لا اريد
  لا أريد شيئا
  لا ترسلوا أحد
  لا ترسلوا الفني
  لا ترسلوا السائق اليوم
  لا تتصلوا
  لا تتصلوا بي اليوم
  لا تتواصلوا معي اليوم
  ازالة الشعر
  إزالة الشعر بالليزر
  حذف الموعد
  احذفوا الطلب
  توقف الباص
  عند موقف الباص
  متى توقفون العمل
  ما وصلتني رسالة
  ابعتولي رسالة
  ابعثوا لي العنوان
  لا تنسوا
  شكرا على الرد
  الرجاء عدم التأخير
  الرجاء إرسال الفاتورة
  хорошего дня, не удаляйте меня
  лучше не пишите, звоните мне
  никаких сообщений не получал
  больше не болит
  больше мне не надо
  не удаляйте мой номер
  не отменяйте подписку
  لا تلغي الموعد
  لا توقفوا الرسائل
  ما بدي الغي
  لا، لا تحذفوا رقمي
  стоп, не отписывайте
`)
