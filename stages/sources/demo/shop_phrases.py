"""What customers write to a shop: the wordings that `stages.sources.demo.shop_messages` combines.

A topic has three aspects: a `problem` with it, how it is when all is `fine`, and its `name`. Problems and fine states
use the same words on purpose: which topic a message is about shows in how its parts relate, not in which words occur.
Clauses begin in lower case and end without a full stop, so that they fit after `but`, `because` and the like.
"""

from stages.sources.demo.grammar import Grammar, Phrases, lines, words

PROBLEMS = {
    "delivery": """
        {the_parcel} has not arrived
        {the_parcel} was due {past_day} and is still not here
        {the_carrier} left {the_parcel} {wrong_place}
        nobody can tell me where {the_parcel} is
        {the_carrier} says it was handed over, which is not true
        I waited at home all day for nothing
        {the_parcel} has been sitting {stop} since {past_day}
        {the_carrier} rang at the wrong house
        the tracking page has not moved since {past_day}
        {the_parcel} went to my old address
        the {item} is still on the road somewhere
        {the_parcel} came {late}
        only one of two boxes turned up
        my {item} seems to have got lost on the way
        {the_carrier} never showed up with the {item}
        {the_parcel} was sent back to you before I could pick it up
        I am still waiting for the {item} that was promised for {past_day}
        {the_carrier} refuses to bring the {item} up the stairs
        {the_parcel} was handed to {stranger}
        my {item} has gone to the wrong end of the country
        the date on the tracking page is put off again and again
    """,
    "billing": """
        the invoice is not correct
        I was charged twice for the {item}
        {the_bank} shows {amount} more than we agreed
        the discount was not taken off
        the refund for the {item} has not reached {the_bank}
        you billed me for a {item} that I never ordered
        my voucher was not accepted
        the delivery charge is on the invoice twice
        the amount taken from {the_bank} is wrong
        I still have not got my money for the return
        {amount} was taken although I had cancelled
        the tax is missing from the invoice
        I paid for express and see it on the invoice two times over
        you keep sending reminders for something that I have long paid
        the price at the checkout was not the one that I had to pay
        the bill for the repair is far too high
        {amount} is missing from what you owe me
        you took the monthly fee again after I had ended the plan
        I never got an invoice for the {item}
        the sum at the bottom does not add up
        my deposit for the {item} was not set off against the total
    """,
    "defect": """
        the {appliance} {appliance_fault}
        the {device} {device_fault}
        the {garment} {garment_fault}
        the {piece} {piece_fault}
        my {device} {device_fault}
        the {appliance} does not work
        the {item} is broken
        my {appliance} has been out of order since {past_day}
        something inside the {device} rattles
        the {item} fell apart after {some_days}
        my {garment} {garment_fault}
        the {piece} that we bought {piece_fault}
        there is a crack in the {piece}
        the {item} stopped working {past_day}
        the {device} is dead
    """,
    "returns": """
        I would like to send the {item} back
        the {garment} is too small and I need the next size up
        you have not sent me a return label
        the return form does not take my order number
        I want to exchange the {item} for another colour
        nobody has come to collect the {item} that I am giving back
        I do not want to keep the {item}
        I need to swap the {garment} for a larger one
        the {piece} does not fit our room and should go back
        I ordered the wrong {item} and want to hand it back
        it is unclear how I can return the {item}
        the courier would not take the return without a label
        the {item} is a gift that I would rather swap for a {item}
        I cannot print the label for sending the {item} back
        the {garment} looks nothing like the photo, so you may have it again
        the {item} turned out to be the wrong model for me, so I will not keep it
        I changed my mind about the {item}
        I missed the last day for sending the {item} back
        I would prefer the {garment} in {colour} after all
    """,
    "account": """
        I cannot log in
        my password is not accepted
        the reset link never arrives
        my profile still shows my old address
        the code that you text me does not work
        the app logs me out every few minutes
        I cannot change my e-mail address
        somebody else has been using my login
        I want my data to be deleted
        your site says that my user name does not exist
        I have two logins and would like to have one
        my saved delivery address cannot be edited
        I am locked out after three attempts
        the order history is gone from my profile
        the app will not let me sign in with my new phone
        I cannot remove an old card from my profile
        the confirmation mail for signing up has not come
        my name is spelled wrong in my profile
        your newsletter keeps coming although I switched it off in my settings
        the site does not recognize me any more
        I never get the code for the second step
    """,
}

FINE = {
    "delivery": """
        {the_parcel} has arrived
        {the_parcel} came {early}
        {the_carrier} brought {the_parcel} up the stairs
        {the_parcel} was here on the day that you promised
        {the_carrier} was friendly and rang twice
        {the_carrier} handed everything over in person
        the {item} did not get lost on the way
        the tracking page was right to the hour
        I did not have to wait for {the_parcel}
        {the_carrier} found the right house at once
        both boxes turned up
        {the_parcel} has been found
    """,
    "billing": """
        the invoice is correct
        I was not charged twice
        {the_bank} shows the amount that we agreed
        the discount was taken off
        the refund has reached {the_bank}
        my voucher was accepted
        the amount taken from {the_bank} is right
        I have got my money
        the price is fair
        nothing is wrong with the invoice
        the payment went through
        the sum adds up
        the reminders have stopped
    """,
    "defect": """
        the {appliance} works
        the {device} does what it should
        the {garment} is well made
        the {piece} stands firm
        nothing is wrong with the {item}
        the {item} is not broken
        the {item} looks as good as new
        the {device} runs again
        there is no scratch on the {piece}
        the {appliance} heats up in no time
        the quality of the {garment} is lovely
        my {item} has been repaired
    """,
    "returns": """
        the return label came at once
        the exchange went smoothly
        I do not want to send the {item} back
        you took the {garment} back without any fuss
        the {garment} fits now
        the {item} that I gave back was collected {past_day}
        I am going to keep the {item}
        I do not need another size
        swapping the {item} was easy
        there is no need to exchange anything
        my return has reached you
        the colour of the {garment} is right
    """,
    "account": """
        I can log in again
        the new password is accepted
        the reset link came at once
        my profile shows the right address
        the code that you text me works
        the app keeps me logged in
        changing my e-mail address was easy
        nobody else has been using my login
        signing up took a minute
        my user name exists after all
        my settings are as I want them
        my two logins have become one
    """,
}

NAMES = {
    "delivery": "the delivery, the parcel, the courier, the tracking, the shipping, the delivery date",
    "billing": "the invoice, the payment, the refund, the price, the money, the bill",
    "defect": "the quality of the {item}, the {item} itself, the repair, the way the {device} works, the broken {item}",
    "returns": "the return, the exchange, the size, sending anything back, the return label, the colour",
    "account": "my account, my password, the app, my login, my profile, the website",
}

VOCABULARY: Phrases = {
    **{f"{topic}.problem": lines(block) for topic, block in PROBLEMS.items()},
    **{f"{topic}.fine": lines(block) for topic, block in FINE.items()},
    **{f"{topic}.name": words(block) for topic, block in NAMES.items()},
    "appliance": words("""
        kettle, toaster, espresso machine, blender, oven, rice cooker, coffee grinder, vacuum cleaner, dishwasher,
        hand mixer, iron, juicer, waffle iron, fan, air fryer, heater, hair dryer, slow cooker"""),
    "device": words("""
        printer, tablet, router, speaker, camera, headset, smart watch, keyboard, projector, phone, laptop, radio,
        monitor, doorbell, e-reader, drone, alarm clock, thermostat"""),
    "garment": words("""
        jacket, raincoat, cardigan, dress, sweater, blouse, shirt, winter coat, swimsuit, skirt, hoodie, tracksuit,
        scarf, suit, kimono, belt, wool hat, waistcoat"""),
    "piece": words("""
        desk, bookshelf, wardrobe, lamp, office chair, sofa, mirror, bed frame, cabinet, table, bench, armchair,
        stool, chest of drawers, cot, coat stand, mattress, sideboard"""),
    "oddment": words("""
        tent, bicycle, guitar, backpack, umbrella, hammock, teapot, board game, aquarium, suitcase, birdhouse,
        telescope, rug, doll's house, snow globe, watering can, puzzle, lantern"""),
    "appliance_fault": words("""
        leaks at the bottom, no longer heats up, trips the fuse, smells of burning, stops after ten seconds,
        gives off sparks, makes a horrible noise, will not turn off, drips all over the counter, hums and does nothing,
        burns whatever I put in, spits out hot steam"""),
    "device_fault": words("""
        will not switch on, loses its connection all the time, overheats, freezes every few minutes, has a dark screen,
        runs flat within the hour, makes no sound, crackles, restarts by itself, does not charge, beeps all night,
        shows nothing but stripes"""),
    "garment_fault": words("""
        came apart at the seam, has a hole in the lining, shrank in the first wash, lost its colour, has a stuck zip,
        frays at the cuffs, is missing a button, lets the rain through, bleeds dye on everything, has a torn pocket"""),
    "piece_fault": words("""
        wobbles, has a deep scratch, leans to one side, is cracked, creaks at every move, came with a bent leg,
        lost a screw on the first day, does not close, is coming unglued, has a chipped corner"""),
    "the_parcel": words("""
        the parcel, my package, the shipment, my order, the box, the consignment, the {item}, my {item}, order {number},
        my parcel with the {item}, the delivery, the freight"""),
    "the_carrier": words("""
        the courier, the driver, the postman, your delivery service, the van, the haulier, the delivery man,
        the carrier, the mail carrier"""),
    "the_bank": words("""
        my card, my account statement, my bank, my credit card, my account, my digital wallet, the statement, my balance,
        my savings account"""),
    "wrong_place": words("""
        at the wrong door, in the rain, on the porch roof, with a neighbour I have never met, behind the bins,
        in a hedge, in the street, in front of the garage, at the bakery next door"""),
    "stranger": words("a stranger, a child on the street, the wrong Mrs Hill, someone in number nine, a passer-by"),
    "stop": words("at the depot, in customs, in a warehouse, at the post office, in the sorting centre, at the port"),
    "past_day": words("""
        Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, last week, last month, yesterday, last weekend,
        the 3rd, the 12th, the 20th, the first of the month, the day before yesterday"""),
    "early": words("""
        a day early, before noon, right on time, sooner than expected, within two days, the very next morning,
        in perfect time for the party, quickly, well ahead of schedule"""),
    "late": words("""
        a week late, three days after the party, far too late, long after the date you gave, two weeks behind schedule,
        when we had already left for the holidays"""),
    "some_days": words("two days, a week, one evening, a fortnight, three weeks, a single use, a month, ten minutes"),
    "amount": words("$12, $19.90, $30, $45, $7.50, $64.99, $80, $99, $120, $25, $149, $5.40"),
    "colour": words("blue, grey, dark green, red, black, beige, white, navy, teal"),
    "closing": words("""
        please help, thank you, can you look into this, please advise, what now, I hope to hear from you,
        thanks in advance, please get back to me soon, kind regards"""),
    "greeting": words("""
        hello, hi there, good morning, dear team, hi, good evening, hello again, to whom it may concern,
        good afternoon"""),
    "aside": lines("""
        I have been a customer for years
        my daughter is heartbroken
        this is my third message
        I am not angry, only puzzled
        you can reach me by phone
        it was meant as a birthday present
        my order number is {number}
        I bought a {item} as well
        we leave for the holidays soon
    """),
    "joy": lines("""
        thank you so much
        great service
        you made my day
        keep it up
        I will order again
        what a lovely shop
        my compliments to the team
        five stars from me
        I am impressed
        that is how it should be
        you have won a customer
        hats off
    """),
}

STRUCTURE: Phrases = {
    "item": ("{appliance}", "{device}", "{garment}", "{piece}", "{oddment}"),
    "number": tuple(str(number) for number in range(20417, 99999, 1571)),
    "all_fine": ("{other.fine}", "{other.fine}", "{other.fine}", "{other.fine} and {third.fine}"),
}

GRAMMAR = Grammar(VOCABULARY, STRUCTURE)

PLAIN = lines("""
    {this.problem}
    {this.problem}
    {this.problem}
    I am writing because {this.problem}
    it is about {this.name}: {this.problem}
    sorry to bother you, {this.problem}
""")
"""Messages with a single topic: half of them say it straight."""

CONTRAST = lines("""
    {all_fine}, but {this.problem}
    {all_fine}. However, {this.problem}
    {this.problem}, although {other.fine}
    {this.problem}. At least {all_fine}
    even though {other.fine}, {this.problem}
    {other.fine}, {this.problem}
    {this.problem}, {other.fine}
    {other.fine}. The only trouble is that {this.problem}
    last time I wrote that {other.problem}, now {this.problem}
    {this.problem}. Before that, {other.problem}, which you solved nicely
    {other.problem}? No, that is settled. Now {this.problem}
    this is not about {other.name}: {this.problem}
    {this.problem}. I do not mean {other.name} this time
    never mind {other.name}, {this.problem}
    it is not that {other.problem}, it is that {this.problem}
    forget what I wrote about {other.name}. Now {this.problem}
    I do not mind {other.name}, but {this.problem}
    {other.problem}, which is no big deal. Far worse, {this.problem}
    {this.problem}. Next to that I hardly mind that {other.problem}
    your colleague thinks that {other.problem}. No, {this.problem}
    my neighbour complains that {other.problem}. In my case {this.problem}
    I feared that {other.problem}, and instead {this.problem}
    {other.fine} now, thank you. Next thing: {this.problem}
    {other.name} is all right, {this.problem}
""")
"""Messages with several topics, one of which is the reason to write."""

PRAISE = lines("""
    {this.fine} and {other.fine}
    {this.fine}
    {this.fine}, {other.fine}, {third.fine}
    I was told that {this.problem}, but no: {this.fine}
    I wrote that {this.problem}. Please forget it, {this.fine}
    last time I wrote that {this.problem}, now {this.fine}
    I feared that {other.problem}, and yet {this.fine}
    no complaint about {this.name} this time, {other.fine} too
    my friend says that {this.problem}. Not with me: {this.fine}
    {this.problem}? No, that is settled, {this.fine}
    {this.fine}. Nothing to say against {other.name}
    good news, {this.fine}
""")
"""Messages without a problem (any more)."""

INFORMAL = {
    "I am": "im", "cannot": "cant", "does not": "doesnt", "do not": "dont", "has not": "hasnt", "will not": "wont",
    "please": "pls", "you": "u", "your": "ur", "thank you": "thx", "thanks": "thx", "because": "cuz", "and": "&",
    "is not": "isnt", "was not": "wasnt", "to": "2", "for": "4", "tomorrow": "tmrw", "would": "wd", "have not": "havent",
    "about": "abt", "before": "b4",
}  # fmt: skip
"""How some customers spell."""
