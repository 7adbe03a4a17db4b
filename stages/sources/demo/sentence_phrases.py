"""Names, and short news, notes and chat around them: what `stages.sources.demo.tagged_sentences` combines.

Words and punctuation stand apart. `<type> … </>` marks an entity. Many names are several things by turns (Jordan,
Paris, Washington, Apple, Amazon, Rose), and some are common words too (Reading, Nice, Bath, Will, Shell): the
context tells. Nothing that is said of a person or company here is meant to be true.
"""

from stages.sources.demo.grammar import Grammar, Phrases, lines, words

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
    "make": "Apple, Dell, Puma, Lotus, Nokia, Jaguar, Amazon, Orange, Bosch, Volvo, Sony",
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
        a new timetable, the budget, free parking, the old railway line, a second library, lower water prices, an apology,
        the harbour plan, longer opening hours, a recipe for rose jam, the school roof, an orange tent""",
    "site": """
        factory, office, warehouse, flagship shop, laboratory, branch, canteen, bottling plant, repair shop,
        training centre, showroom, brewery""",
    "gathering": """
        Festival, Marathon, Regatta, Fair, Cup, Biennale, Summit, Games, Carnival, Open, Week, Rally, Night, Awards,
        Jamboree, Parade, Day, Gala, Trophy, Run, Derby""",
    "spot": """
        Street, Park, Heights, Square, Lake, Avenue, Bridge, Station, Falls, Island, Road, Valley, Beach, Hill, Bay,
        Gate, Forest, Point""",
    "front": "Lake, Port, Fort, Mount, New, Cape, South, Upper, San, North, East, Little",
    "institute": """
        University, Museum, Zoo, Hospital, City Council, Opera, Gazette, Library, Chronicle, School, Police, Academy,
        College, Post, Theatre""",
    "society": "Foundation, Institute, Archive, Choir, Society, Brigade, Trust, Union, Collective",
    "person": """
        <person> {first} {last} </>
        <person> {first} </>
        <person> {first} {last} </>
        <person> {last} </>
        <person> {first} </>
        <person> {first} {initial} {last} </>
        <person> {last} </>
    """,
    "location": """
        <location> {city} </>
        <location> {country} </>
        <location> {first} {spot} </>
        <location> {city} </>
        <location> {last} {spot} </>
        <location> {front} {last} </>
        <location> {country} </>
        <location> {city} </>
        <location> {city} {spot} </>
        <location> {coined} {spot} </>
        <location> {city} </>
        <location> Port {first} </>
    """,
    "firm": """
        <organization> {company} </>
        <organization> {coined} {trade} </>
        <organization> {last} & {last} </>
        <organization> {coined} </>
        <organization> {company} </>
        <organization> {company} {country} </>
        <organization> {last} {trade} </>
    """,
    "squad": """
        <organization> {city} {team} </>
        <organization> {last} {team} </>
        <organization> {coined} {team} </>
    """,
    "body": """
        <organization> {city} {institute} </>
        <organization> University of {city} </>
        <organization> {first} {last} {society} </>
        <organization> Ministry of {portfolio} </>
        <organization> {coined} {society} </>
        <organization> Friends of {city} </>
        <organization> Bank of {country} </>
        <organization> {last} {institute} </>
        <organization> {portfolio} Workers of {country} </>
    """,
    "product": """
        <product> {gadget} </>
        <product> {gadget} {version} </>
        <product> {company} {gadget} {version} </>
        <product> {make} </>
        <product> {coined} {version} </>
        <product> {first} {version} </>
        <product> {gadget} </>
        <product> {company} {gadget} </>
        <product> {city} {version} </>
        <product> {coined} </>
    """,
    "event": """
        <event> {city} {gathering} </>
        <event> {theme} {gathering} </>
        <event> {gadget}fest </>
        <event> {city} {theme} {gathering} </>
        <event> {coined} {gathering} </>
        <event> {city} {year} </>
        <event> {season} {gathering} </>
        <event> {last} {gathering} </>
        <event> {company} {gathering} </>
    """,
    "battle": """
        <event> Battle of {city} </>
        <event> {season} War </>
        <event> Siege of {city} </>
        <event> Treaty of {city} </>
    """,
}
"""Parts of names, what stands beside names, and how names of each type are made of parts."""

REPORTS = """
    {person} will join {organization} as {role} in {month}
    {person} left {organization} after nine years
    {actor} wants {thing}
    {person} grew up near {location}
    {person} moved from {location} to {location} last {month}
    {actor} will cross {location} by bicycle in {month}
    {person} bought a second-hand {product} from {person}
    {person} sang at {event} in {location}
    {actor} asked {actor} for {thing}
    {person} and {person} met at {event}
    {actor} told {actor} about {thing}
    {person} of {club} won the {event}
    {person} prefers the {product} to the {product}
    the {role} of {organization} , {person} , wants {thing}
    {role} {person} flew to {location} on {day}
    {firm} will open {number} shops in {location}
    {firm} closes its {site} in {location}
    {actor} has nothing to say about {ware}
    {organization} has named {person} as {role}
    {club} lost {score} to {club} in {location}
    {club} beat {club} {score} at home
    {club} play {club} on {day}
    {club} have signed {person} from {club}
    {actor} will pay for {event} again
    {firm} unveiled {product} at {event}
    {actor} met {actor} in {location}
    {firm} and {firm} will share a {site}
    the {location} {site} of {firm} makes the {product}
    shares in {firm} rose by {number} cents on {day}
    {actor} apologized to {actor}
    students from {location} built a kite for {event}
    the {product} is on sale in {location} for {number} euros
    {actor} 's plan for {location} costs too much
    nobody in {location} repairs the {product}
    {person} 's {product} rang in the middle of {event}
    {firm} 's {product} sold out within {number} minutes
    {event} starts on {day} in {location}
    {event} has been moved to {month}
    tickets for {event} cost {number} euros
    {number} runners entered {event}
    {event} brought {number} visitors to {location}
    it rained all through {event}
    {actor} left {event} after {number} minutes
    a film about the {battle} was shot in {location}
    the road to {location} is closed until {day}
    boats on the <location> {river} </> were late
    the mayor of {town} promised {thing}
    people in {location} want {thing}
    farmers near {location} sell apples to {firm}
    a bridge over the <location> {river} </> opened near {location}
    trains between {location} and {location} will be slower in {month}
    {anything} was in the news again on {day}
    {anything} has had a difficult {month}
    everyone loves {anything}
    few people have ever heard of {anything}
    {person} wrote a song about {anything}
    {actor} praised {ware}
    {actor} thanked everyone at {event}
    {sight} was crowded on {day}
    {sight} needs {number} new benches
    {actor} compared {anything} with {anything}
"""
"""News."""

REMARKS = """
    we talked about {anything} all evening
    more about {anything} and {anything} on {day}
    my sister can not stop praising {anything}
    I have never heard of {anything}
    I always mix up {anything} and {anything}
    {anything} reminds me of {anything}
    please put {anything} on the list for {day}
    there is a photo of {anything} in the hall
    my {product} fell into the <location> {river} </>
    our {product} arrived without a manual
    my {product} broke on the way to {location}
    {ware} beats {ware} in our test
    we drove from {location} to {location} in the snow
    we got lost on the way to {sight}
    we switched from {ware} to {ware}
    I saw {actor} at {sight} on {day}
    {ware} is all that my uncle trusts
    my neighbour named her dog after {anything}
"""
"""What people say of themselves."""

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
    todo : book train to {town} for {event}
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

VOCABULARY: Phrases = {
    **{slot: words(block) for slot, block in NAMES.items() if "<" not in block},
    **{slot: lines(block) for slot, block in NAMES.items() if "<" in block},
    "report": lines(REPORTS),
    "remark": lines(REMARKS),
    "common": lines(COMMON_WORDS),
    "notes": lines(NOTES),
}

STRUCTURE: Phrases = {
    "anything": ("{person}", "{location}", "{organization}", "{product}", "{event}"),
    "town": ("<location> {city} </>",),
    "club": ("{squad}", "<organization> {city} </>"),
    "organization": ("{firm}", "{firm}", "{squad}", "{body}"),
    "actor": ("{person}", "{person}", "{firm}", "{squad}", "{body}"),
    "sight": ("{location}", "{location}", "{event}", "{body}"),
    "ware": ("{product}", "{product}", "{firm}"),
    "year": tuple(str(year) for year in range(2027, 2037)),
    "initial": tuple(f"{letter}." for letter in "ABCDEHJKLMPRST"),
    "number": tuple(str(number) for number in (12, 15, 20, 29, 40, 45, 60, 75, 99, 110, 150, 180, 250, 300, 499)),
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
        , {person} said
        , says {organization}
        , as planned
        on {day}
        after {thing}
        , a reader from {location} writes
        , which surprised {person}
        because of {thing}
    """),
    "joint": (", while", ", and", ", but", ";"),
    "stop": (".", ".", ".", ".", ".", ".", "!"),
}

GRAMMAR = Grammar(VOCABULARY, STRUCTURE)

SENTENCES = {
    "{report} {stop}": 0.4,
    "{remark} {stop}": 0.14,
    "{lead} {report} {stop}": 0.12,
    "{report} {tail} {stop}": 0.1,
    "{report} {joint} {report} {stop}": 0.07,
    "{lead} {report} {joint} {report} {tail} {stop}": 0.02,
    "{remark} , and {remark} {stop}": 0.02,
    "{notes}": 0.08,
    "{common} {stop}": 0.03,
    "{common} , and {remark} {stop}": 0.02,
}
"""How sentences are built, each with how often."""
