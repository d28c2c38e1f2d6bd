"""The words of World's second language: a root for each English word, and the suffixes.

How they are used, `nlp_course.data.world_translation` says. The roots were drawn at random from
those of consonant, vowel and consonant that make no English word with any of their suffixes; places
and people keep the sound of their English names.
"""

from __future__ import annotations

from nlp_course.data import world_grammar


def _table(entries: str) -> dict[str, str]:
    """English word → root, from "word root, word root, …"."""
    return dict(entry.split() for entry in entries.split(","))


LIVING = _table(
    "king naf, prince nuz, man gez, boy nim, actor pob, waiter zul, father lep, brother fek, "
    "son zig, uncle lud, cat sem, dog vos, horse rop, bird vad, soldier rek, guest zok, "
    "friend foz, people dap, john yon, paul pavol, mary maris, anna anis"
)
THINGS = _table(
    "cake kus, door dof, letter pif, book keb, song kon, box mef, coat miv, flower pun, boat vuk, "
    "soup fal, rice ruv, fish kat, bread fuv, cheese muz, water sov, wine zes, milk pel, tea maz, "
    "music tev, money bup, luggage gip, war tab, weather dut, market lom, river lar, bridge kif, "
    "kitchen gam, house tiz, wall gor, game deg, film rak, museum bis, church pid, village ber, "
    "forest moz, shoe ned, palace luf, castle kel, kingdom tol, land zav, throne gub, field sif, "
    "office suz, ball tum, garden vur, school fen, number meb, theatre kag, stage vim, dinner nit, "
    "story rud, bedroom baz, toy lez, present gan, table dun, roof bom, yard dir, gate vef, "
    "stable rav, tree fas, desk paf, drawer luv, shelf goz, hook teg, capital nuk, street por, "
    "week koz, year kev, day vop, sunday gik, "
    "france faran, italy itel, england anlen, germany zermen, poland polan, portugal portug, "
    "egypt egip, japan zapan, paris pariz, rome romav, london lundon, berlin berel, "
    "warsaw varsov, lisbon lizbon, cairo kahir, tokyo tokiv, seine sen, tiber tiver, "
    "thames tamiz, spree siper, vistula vistul, tagus taguz, nile niluv, sumida sumid"
)
VERBS = _table(
    "walk med, talk mup, cook sak, eat zof, drink vil, paint tus, open vet, carry fum, watch ris, "
    "visit sib, write zub, sing nol, buy dek, love pes, ride ner, travel tok, speak lat, wear rel, "
    "live fid, rule mir, sit pag, greet liz, work bot, play bal, learn zam, act sul, serve sog, "
    "tell piv, share dos, grow mon, bring kip, flow zet, exist dab, be v"
)
ADJECTIVES = _table(
    "soft tep, lazy vab, brown rez, loud zan, fast tad, small gov, sweet kod, heavy sep, wide puf, "
    "long kem, longest kemum, sad vig, short zin, old biv, empty fop, warm rit, new buk, red bef, "
    "bright kar, wooden gen, wise nav, young lek, little tof, tall vob, famous zud, friendly zir, "
    "dear puz, happy rup, tired feg, hungry til, strong dev, quiet nes, green daz, last kuv, "
    "next bog, this nug, these nug, that bap, those bap"
)
OLD_PERSON = "mal"
POSTPOSITIONS = _table(
    "to guf, over sor, about lig, in rof, through roz, from vez, on sar, at gos, under vut"
)
WITH_COMPANY, WITH_TOOL = "lun", "mok"
OTHERS = _table(
    "because dom, together maf, fast gul, yesterday ter, tomorrow nas, two fod, three ged, "
    "many tif, some leb, most gak, every pem"
)
ALONE = "mur"

SEVERAL, OBJECT, OF, WOMAN, LANGUAGE = "le", "t", "da", "is", "ez"
POSSESSORS = {"the": "mi", "my": "mo", "his": "su", "her": "su", "their": "su"}
TENSES = {"present": "ut", "past": "ir", "future": "ol"}
SEVERAL_DO = "i"


def _nouns() -> dict[str, tuple[str, str]]:
    """Each English noun's root with its vowel, and what says that there are several."""
    nouns = {word: (root + "a", "") for word, root in LIVING.items()}
    nouns |= {word: (root + "o", "") for word, root in THINGS.items()}
    for row in (world_grammar.PEOPLE | world_grammar.KIN).values():
        nouns[row.female] = (LIVING[row.male] + WOMAN + "a", "")
    for country in world_grammar.COUNTRIES:
        nouns[country.language] = (THINGS[country.name] + LANGUAGE + "o", "")
    regular = ("soldier", "guest", "friend", "number", "shoe", "street", "field", "toy", "present")
    plurals = {word: word + "s" for word in (*regular, "sunday")}
    plurals |= {noun.singular: noun.plural for noun in world_grammar.NOUNS}
    plurals |= world_grammar.PLURAL_PEOPLE | {"people": "people"}
    return nouns | {plural: (nouns[word][0], SEVERAL) for word, plural in plurals.items()}


NOUNS = _nouns()
VERB_FORMS = {
    form: (VERBS[verb.base], tense)
    for verbs in world_grammar.VERBS.values()
    for verb in verbs
    for form, tense in ((verb.base, "present"), (verb.third, "present"), (verb.past, "past"))
} | {"flows": (VERBS["flow"], "present")}
