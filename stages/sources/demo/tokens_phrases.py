"""Names, and short news, notes and chat around them: what `stages.sources.demo.tokens` combines.

Words and punctuation stand apart. `<type> … </>` marks an entity. Many names are several things by turns (Jordan,
Paris, Washington, Apple, Amazon, Rose), and some are common words too (Reading, Nice, Bath, Will, Shell): the
context tells. Nothing that is said of a person or company here is meant to be true.
"""

from stages.sources.demo.grammar import Grammar, lines, words

NAMES = {
    "first": """
        Anna, Jordan, Omar, Rose, Ben, Ingrid, Sydney, Mark, Priya, Diego, Paris, Kofi, Elena, Austin, Mei, Virginia,
        Bill, Farid, Charlotte, Samuel, Noor, Will, Lena, Chelsea, Grace, Tomas, Hugo, Dallas, Nadia, Frank, Georgia,
        Ivan, Yuki, Florence, Marcus, Madison, Ruth, Hope, Aisha, Victor, Lincoln, Amara, Carla, Sven, Summer, Zoe,
        April, Pedro, Israel, Olga, Tariq, Amber, Liam, Greta, Chase, Wanda, Yusuf, Penny, Chuck, Fatima, Art, Joy,
        Drew, Pat, Rich, Cliff, Ray""",
    "last": """
        Baker, Washington, Novak, Ford, Rossi, Okafor, Bell, Hill, Wells, Tanaka, London, Lindqvist, Rose, Cohen,
        Banks, Cook, Silva, Murphy, Lincoln, Kowalski, Chase, Morgan, Haddad, Dell, Park, Nguyen, Hudson, West,
        Schmidt, Jordan, Stone, Fernandez, Brooks, Patel, Paris, Page, Singh, Berg, Frost, Ivanova, Marsh, Castle,
        Weber, Amari, Lake, Costa, Shaw, Mensah, Grant, Moreau, Day, Holt, Vargas, Winter, Young, Kaya, Price, Fox,
        Andersen, Long, Abebe, Bush, Petrov, Power, Church, Yamamoto""",
    "city": """
        Paris, Leeds, Reading, Austin, Lisbon, Bath, Florence, Nairobi, Sydney, Hamburg, Lincoln, Nice, Washington,
        Lima, Phoenix, Osaka, Dallas, Split, Oslo, Cork, Charlotte, York, Krakow, Buffalo, Porto, Madison, Hull, Quito,
        Derby, Turin, Boston, Chelsea, Mobile, Ghent, Orlando, Victoria, Mumbai, Perth, Salem, Seville, Riga, Sofia,
        Durham, Tampa, Dover, Accra, Houston, Bergen, London, Lagos, Jackson, Basel, Cardiff, Bismarck, Hanoi,
        Savannah, Graz, Limerick, Tunis, Kyoto, Flint""",
    "country": """
        Jordan, Kenya, Turkey, Norway, Chad, Georgia, Brazil, Japan, China, Peru, Ireland, Mali, Poland, Chile, Ghana,
        Portugal, Cuba, Israel, Egypt, Canada, Greece, Morocco, Nepal, Guinea, Vietnam""",
    "river": "Amazon, Hudson, Thames, Orange, Danube, Severn, Nile, Rhine, Red, Loire, Po, Shannon",
    "company": """
        Apple, Amazon, Shell, Orange, Target, Oracle, Ford, Siemens, Delta, Dell, Sony, Visa, Nokia, Gap, Puma, Adobe,
        Lotus, Jaguar, Virgin, Toyota, Subway, Philips, Chase, Boeing, Washington, Volvo, Square, Bosch, Spotify,
        Mars""",
    "coined": """
        Brightwater, Cedar, Ironleaf, Harbour, Falcon, Bluefin, Keystone, Northgate, Atlas, Pioneer, Granite, Meadow,
        Lantern, Redwood, Summit, Cobalt, Quarry, Tamarind, Rose, Silverline, Mistral, Juniper, Amazon, Foxglove""",
    "trade": """
        Energy, Foods, Logistics, Bank, Airlines, Insurance, Media, Motors, Robotics, Telecom, Textiles, Pharma,
        Records, Books, Shipping, Breweries, Studios, Steel""",
    "team": "United, Rovers, Tigers, Athletic, City, Falcons, Wolves, Wanderers, Harriers, Rangers, Bears, Rockets",
    "portfolio": "Health, Transport, Justice, Culture, Fisheries, Education, Labour, Defence, Trade",
    "gadget": """
        Swift, Nova, Pebble, Canvas, Compass, Breeze, Echo, Halo, Mosaic, Beacon, Orbit, Ember, Comet, Ripple, Arrow,
        Drift, Jordan, Robin, Aurora, Focus, Tempo, Fiesta, Pilot, Raven, Mango, Apollo, Sprout, Eclipse, Bolt,
        Willow""",
    "version": "2, 3, Pro, Mini, 7, X, Max, Lite, Plus, XL, 12, Air, One, S, Ultra, 360, Go, Classic",
    "theme": """
        Jazz, Film, Book, Food, Robotics, Garden, Climate, Wine, Poetry, Chess, Street Art, Science, Kite, Beer,
        Design, Folk, Cheese, Games, Ceramics, Lantern, Energy""",
    "season": "Winter, Summer, Spring, Harvest, Midnight, Autumn",
    "role": """
        chief engineer, head of design, goalkeeper, spokeswoman, chair, adviser, finance director, captain, editor,
        conductor, trainer, ambassador""",
    "day": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "month": "March, June, May, October, January, August, April, December, July",
    "thing": """
        a new timetable, the budget, free parking, the old railway line, a second library, water prices, an apology,
        the harbour plan, longer opening hours, a recipe for rose jam, the school roof, an orange tent""",
    "site": """
        factory, office, warehouse, flagship shop, laboratory, branch, canteen, bottling plant, repair shop,
        training centre, showroom, brewery""",
    "person": """
        <person> {first} {last} </>
        <person> {first} {last} </>
        <person> {first} </>
        <person> {first} {last} </>
        <person> {last} </>
        <person> {first} {initial} {last} </>
        <person> {first} </>
    """,
    "location": """
        <location> {city} </>
        <location> {city} </>
        <location> {last} Street </>
        <location> {country} </>
        <location> Lake {last} </>
        <location> Port {first} </>
        <location> {country} </>
        <location> {city} </>
        <location> Mount {last} </>
        <location> {city} Central Station </>
        <location> {last} Park </>
        <location> {first} Island </>
    """,
    "firm": """
        <organization> {company} </>
        <organization> {coined} {trade} </>
        <organization> {company} </>
        <organization> {last} & Sons </>
        <organization> {last} {trade} </>
        <organization> {company} {country} </>
    """,
    "club": """
        <organization> {city} </>
        <organization> {city} {team} </>
        <organization> {city} {team} </>
        <organization> {city} </>
        <organization> {coined} {team} </>
        <organization> {last} {team} </>
    """,
    "body": """
        <organization> University of {city} </>
        <organization> {city} City Council </>
        <organization> Ministry of {portfolio} </>
        <organization> {city} Gazette </>
        <organization> {first} {last} Foundation </>
        <organization> Bank of {country} </>
        <organization> {country} Post </>
        <organization> {city} Museum of {theme} </>
        <organization> {portfolio} Workers Union </>
    """,
    "product": """
        <product> {gadget} {version} </>
        <product> {company} {gadget} </>
        <product> {company} {gadget} {version} </>
        <product> {gadget} </>
        <product> {coined} {version} </>
        <product> {gadget}Book {version} </>
        <product> {gadget} </>
    """,
    "event": """
        <event> {city} Marathon </>
        <event> {city} {theme} Festival </>
        <event> {country} Open </>
        <event> {season} Games </>
        <event> {theme} Week </>
        <event> {coined} Cup </>
        <event> {city} {theme} Fair </>
        <event> {theme} Summit </>
        <event> World {theme} Day </>
        <event> {company} {season} Cup </>
        <event> {first} {last} Memorial Run </>
    """,
    "battle": """
        <event> Battle of {city} </>
        <event> Siege of {city} </>
        <event> Battle of the {river} </>
        <event> {season} War </>
    """,
}
"""Parts of names, what stands beside names, and how names of each type are made of parts."""

CLAUSES = """
    {person} will join {organization} as {role} in {month}
    {person} left {organization} after nine years
    {person} lives in {location} and works for {organization}
    {person} grew up near {location}
    {person} moved from {location} to {location} last {month}
    {person} beat {person} in the final of the {event}
    {person} bought a second-hand {product} from {person}
    {person} sang at the {event} in {location}
    {person} asked {person} for {thing}
    {person} and {person} met at the {event}
    {person} told the {body} about {thing}
    {person} of {club} won the {event}
    {person} prefers the {product} to the {product}
    the {role} of {organization} , {person} , wants {thing}
    {role} {person} flew to {location} on {day}
    {firm} will open {number} shops in {location}
    {firm} closes its {site} in {location}
    {firm} is to sell the {product} in {location} from {month}
    {organization} has named {person} as {role}
    {club} lost {score} to {club} in {location}
    {club} beat {club} {score} at home
    {club} play {club} on {day}
    {club} have signed {person} from {club}
    {organization} sponsors the {event} again
    {firm} unveiled the {product} at the {event}
    {firm} hired {number} people for its {site} near {location}
    {firm} and {firm} will share a {site}
    the {location} {site} of {firm} makes the {product}
    shares in {firm} rose by {number} cents on {day}
    a spokesman for {organization} apologized to {person}
    students from {location} built a kite for the {event}
    the {product} is on sale in {location} for {number} euros
    the {product} broke on the way to {location}
    my {product} fell into the <location> {river} </>
    our {product} arrived without a manual
    the {product} beats the {product} in our test
    nobody in {location} repairs the {product}
    {person} 's {product} rang in the middle of the {event}
    {firm} 's {product} sold out within {number} minutes
    the {event} starts on {day} in {location}
    the {event} has been moved to {month}
    tickets for the {event} cost {number} euros
    {number} runners entered the {event}
    {event} brought {number} visitors to {location}
    it rained all through the {event}
    the {event} ended with a speech by {person}
    a film about the {battle} was shot in {location}
    we drove from {location} to {location} in the snow
    the road to {location} is closed until {day}
    boats on the <location> {river} </> were late
    the mayor of {location} promised {thing}
    people in {location} want {thing}
    farmers around {location} sell apples to {firm}
    a bridge over the <location> {river} </> opened near {location}
    trains between {location} and {location} will be slower in {month}
    {anything} was in the news again on {day}
    we talked about {anything} all evening
    {anything} has had a difficult {month}
    my sister can not stop praising {anything}
    more about {anything} and {anything} on {day}
    I have never heard of {anything}
    everyone here loves {anything}
    people rarely mix up {anything} and {anything}
    {anything} reminds me of {anything}
    please put {anything} on the list for {day}
    there is a photo of {anything} in the hall
    {person} wrote a song about {anything}
"""

COMMON_WORDS = """
    prices rose in {month} and fell in {month}
    a rose by the window needs water
    the bill was wrong and nobody will pay it
    we had apple pie and orange juice on {day}
    the target is to finish reading by {month}
    nice weather , so we split a cake by the lake
    the shell of the old oracle stands in a park
    may I cook on {day}
    mark the day : the bath is fixed
    hope is not a plan
    the long march to the castle ended at the church
    a baker from the west side sells amber beads
    it was a frank talk about price and power
    the young cook dropped a stone on the bell
    the compass points to the hill , and the arrow does not
    turn on the beacon before the winter
    a grant pays for the new page
    the ford was too deep after the frost
    the puma hid in the marsh
    chase the fox away from the wells
"""
"""Sentences without any name, full of words that are names elsewhere."""

NOTES = """
    call {person} re {product} , {day} {hour}
    {day} : lunch w/ {person} ( {organization} )
    todo : book train to {location} for {event}
    fwd from {person} - {organization} invoice still open
    {event} : need {number} chairs , ask {person}
    {person} / {person} / {person} on night shift {day}
    {location} - {location} , {hour} , bring the {product}
    lol {person} just dropped her {product} in {location}
    anyone going to {event} ? {person} has a spare ticket
    omg the new {product} from {organization}
    @ {location} w/ {person} and {person} , back {day}
    selling my {product} , {number} euros , {location} only
"""

VOCABULARY = {
    **{slot: words(block) for slot, block in NAMES.items() if "<" not in block},
    **{slot: lines(block) for slot, block in NAMES.items() if "<" in block},
    "clause": lines(CLAUSES),
    "common": lines(COMMON_WORDS),
    "notes": lines(NOTES),
}

STRUCTURE = {
    "anything": ("{person}", "{location}", "{organization}", "{product}", "the {event}"),
    "organization": ("{firm}", "{firm}", "{club}", "{body}"),
    "initial": tuple(f"{letter}." for letter in "ABCDEHJKLMPRST"),
    "number": tuple(str(number) for number in (3, 12, 15, 20, 29, 40, 45, 60, 75, 99, 110, 150, 180, 250, 300, 499)),
    "score": ("1-0", "2-0", "2-1", "3-1", "3-2", "4-0", "4-3"),
    "hour": ("8:15", "9:30", "10:00", "11:45", "14:00", "15:30", "17:20"),
    "lead": lines("""
        on {day} ,
        good news :
        according to {organization} ,
        in <location> {city} </> ,
        as {person} reports ,
        at the {event} ,
        it is official :
        {person} says that
        rumour has it that
    """),
    "tail": lines("""
        {person} said
        , says {organization}
        , as planned
        on {day}
        after {thing}
        , a reader from {location} writes
        , which surprised {person}
        because of {thing}
    """),
    "joint": (", while", ", and", ", but", ";", ", because", "even though"),
    "stop": (".", ".", ".", ".", ".", ".", "!"),
}

GRAMMAR = Grammar({slot: tuple(entries) for slot, entries in VOCABULARY.items()}, STRUCTURE)

SENTENCES = {
    "{clause} {stop}": 0.5,
    "{lead} {clause} {stop}": 0.13,
    "{clause} {tail} {stop}": 0.1,
    "{clause} {joint} {clause} {stop}": 0.1,
    "{lead} {clause} {joint} {clause} {tail} {stop}": 0.02,
    "{notes}": 0.08,
    "{common} {stop}": 0.03,
    "{common} {joint} {clause} {stop}": 0.04,
}
"""How sentences are built, each with how often."""
