/** Everyday words, which are not taken for misheard names. Names that are such words are still found where they are said exactly. */

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

export const COMMON_WORDS = words(`
a about actually add after again alarm all already also always am an and announce another any anyone anything
apart are aren't around as ask asked at away awning baby back bad base bathroom battery be because bedroom been
before being best better between big bit blind blinds blue both bread breakfast bright brightness bring
broadcast but buy by call camera can can't cancel cat change charge charging check clean cleaning clear close
closed coffee cold color colour come coming complete cool could cover covers cross curtain curtains cut date day
decrease degrees delete did dim dining dinner do dock does dog don't done door doors down downstairs draw dry
during each egg eggs eight either energy evening ever every everybody everyone everything everywhere except
family fan fans feel feeling few film find fine finish first five flip floor for four from front full fully
garage garden gas gate gates get give go going good great green ground had half hall hallway has hate have he
he's hear heat heating hello her here hey hi high highest him his hold home hot hour hours house how humidity i
i'd i'll i'm i've if in increase into is isn't it it's just keep kids kill kind kindly kitchen know lamp lamps
later laundry lawn leak least leave left less let let's level light lights like list listen little living lock
locked look lot louder love low lower lowest lunch main make many mark max maximum may maybe me mean message
might milk min mine minimum minute minutes mode month more morning most motion move movie mower much music must
mute my need neither never new next night nine no not nothing now of off office ok okay old on one only onto
open opened or orange other our out outlet outlets oven over pasta pause people percent perhaps person pink
pizza play please plug plugs power press previous pull purple push put quarter quickly quieter radio raise read
really red reduce remind reminder remove resume return right robot roll room running said same say says scene
script second seconds see send sensor set seven shade shades shall she she's shopping should show shut shutter
shutters six skip slowly small smoke snooze so socket sockets some someone something sometimes song sort speak
speaker speakers start state status stay still stop sure switch switches take talk tea television tell
temperature ten than thank thanks that that's the their them then there there's thermostat these they they're
think this those three through tick time timer to today tomorrow tonight too top track try turn tv two under
unlock unlocked unmute until up upper upstairs us use using vacuum very volume wait want warm was water we we're
weather week well were wet what what's when where which while white who why will window windows with without
won't work working works would write year yellow yes yet you you'd you'll you're your yours
`);

/** Words at which no misheard name begins or ends. */
export const FUNCTION_WORDS = words(`
a an and are as at be but by can could did do does for from he her his i if in is it me my no not of on or our
please she so that the their these they this those to us we will with would you your
`);
