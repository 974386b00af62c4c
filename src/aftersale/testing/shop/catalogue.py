"""What does the Lindenhof sell?"""

import csv
import io

from aftersale.catalogue.product import Product
from aftersale.kernel.money import to_minor

NAME = "Lindenhof"
SHOP = "lindenhof"
CURRENCY = "EUR"
COLUMNS = (
    "product", "name", "kind", "category", "price", "currency", "margin", "supply_days",
    "time_to_value_days", "complements", "url", "care",
)  # fmt: skip

# id, name, category, price, margin, days a unit lasts, days until it can be judged, complements
_CONSUMABLES = """
coffee-morgen | Coffee Morgen 500 g | pantry/coffee | 12.90 | 0.42 | 21 | 3 | filter-paper grinder-hand
coffee-abend | Coffee Abend decaf 500 g | pantry/coffee | 13.90 | 0.41 | 24 | 3 | filter-paper kettle-gooseneck
coffee-espresso | Espresso Nord 1 kg | pantry/coffee | 24.90 | 0.44 | 35 | 3 | grinder-electric descaler
coffee-filter | Filter roast Ethiopia 250 g | pantry/coffee | 11.50 | 0.45 | 12 | 3 | filter-paper dripper
tea-assam | Tea Assam 200 g | pantry/tea | 9.90 | 0.5 | 40 | 3 | teapot tea-filter
tea-mint | Tea mountain mint 100 g | pantry/tea | 6.90 | 0.52 | 30 | 3 | teapot
tea-sencha | Tea Sencha 150 g | pantry/tea | 14.90 | 0.48 | 38 | 3 | kettle-variable teapot
tea-filter | Paper tea filters, 100 | pantry/tea | 3.90 | 0.55 | 60 | 2 | tea-assam
filter-paper | Coffee filter paper, 100 | pantry/coffee | 3.50 | 0.55 | 50 | 2 | coffee-morgen
oats | Rolled oats 2 kg | pantry/breakfast | 6.40 | 0.3 | 28 | 2 | honey
muesli | Muesli nut and apple 750 g | pantry/breakfast | 7.90 | 0.36 | 18 | 2 | honey oats
honey | Linden honey 500 g | pantry/breakfast | 8.90 | 0.4 | 45 | 2 | tea-assam
olive-oil | Olive oil 1 l | pantry/larder | 16.90 | 0.35 | 42 | 4 | vinegar
vinegar | Apple vinegar 500 ml | pantry/larder | 5.90 | 0.42 | 60 | 4 | olive-oil
shampoo-refill | Shampoo refill 500 ml | bath/hair | 11.90 | 0.52 | 50 | 10 | conditioner-refill bottle-glass
conditioner-refill | Conditioner refill 300 ml | bath/hair | 10.90 | 0.52 | 55 | 10 | shampoo-refill
soap-refill | Hand soap refill 1 l | bath/body | 8.50 | 0.5 | 45 | 5 | soap-dispenser
body-lotion | Body lotion oat 250 ml | bath/body | 12.50 | 0.54 | 48 | 14 | soap-refill
tooth-tabs | Tooth tablets, 120 | bath/teeth | 7.90 | 0.5 | 60 | 7 | brush-heads
brush-heads | Brush heads, 4 | bath/teeth | 9.90 | 0.5 | 120 | 7 | tooth-tabs
dish-tabs | Dishwasher tablets, 60 | home/cleaning | 12.90 | 0.38 | 45 | 3 | descaler
laundry-powder | Laundry powder 2.5 kg | home/cleaning | 14.50 | 0.37 | 50 | 5 | stain-soap
stain-soap | Stain soap | home/cleaning | 4.50 | 0.5 | 80 | 5 | laundry-powder
descaler | Descaler 500 ml | home/cleaning | 6.90 | 0.5 | 90 | 2 | kettle-classic
water-filter | Water filters, 3 | home/water | 17.90 | 0.45 | 90 | 2 | water-jug
cat-food | Cat food chicken 3 kg | pets/cat | 19.90 | 0.3 | 30 | 14 | cat-litter cat-bowl
cat-litter | Cat litter 10 l | pets/cat | 11.90 | 0.28 | 25 | 5 | cat-food
dog-food | Dog food lamb 8 kg | pets/dog | 44.90 | 0.28 | 32 | 14 | dog-treats
dog-treats | Dog treats 500 g | pets/dog | 8.90 | 0.4 | 21 | 3 | dog-food
bird-seed | Bird seed 4 kg | pets/garden | 10.90 | 0.35 | 40 | 10 | bird-house
"""  # noqa: E501 - a table
_DURABLES = """
grinder-hand | Hand grinder Esche | kitchen/grinders | 69.00 | 0.4 | 0 | 10 | coffee-morgen coffee-filter
grinder-electric | Electric grinder Ulme | kitchen/grinders | 189.00 | 0.35 | 0 | 14 | coffee-espresso
kettle-classic | Kettle classic | kitchen/kettles | 49.00 | 0.38 | 0 | 7 | descaler tea-assam
kettle-variable | Kettle with thermostat | kitchen/kettles | 99.00 | 0.36 | 0 | 7 | tea-sencha descaler
kettle-gooseneck | Gooseneck kettle | kitchen/kettles | 79.00 | 0.38 | 0 | 7 | dripper coffee-filter
dripper | Porcelain dripper | kitchen/brewing | 24.00 | 0.5 | 0 | 5 | filter-paper coffee-filter
teapot | Teapot 1.2 l | kitchen/brewing | 39.00 | 0.5 | 0 | 5 | tea-assam tea-filter
knife-chef | Chef's knife 20 cm | kitchen/knives | 119.00 | 0.4 | 0 | 14 | sharpening board-oak
knife-bread | Bread knife | kitchen/knives | 59.00 | 0.42 | 0 | 14 | board-oak
board-oak | Oak board | kitchen/knives | 45.00 | 0.45 | 0 | 10 | knife-chef
water-jug | Water filter jug | kitchen/water | 34.00 | 0.35 | 0 | 5 | water-filter
bottle-glass | Glass pump bottle | bath/holders | 14.00 | 0.55 | 0 | 3 | shampoo-refill
soap-dispenser | Soap dispenser stone | bath/holders | 22.00 | 0.55 | 0 | 3 | soap-refill
lamp-desk | Desk lamp Linde | living/lamps | 89.00 | 0.45 | 0 | 7 | bulb-pack
lamp-floor | Floor lamp Linde | living/lamps | 179.00 | 0.42 | 0 | 10 | bulb-pack
bulb-pack | LED bulbs, 3 | living/lamps | 15.00 | 0.4 | 0 | 3 | lamp-desk
blanket-wool | Wool blanket | living/textiles | 95.00 | 0.48 | 0 | 10 | lamp-desk
backpack-day | Day backpack 20 l | travel/backpacks | 109.00 | 0.45 | 0 | 21 | bottle-steel
backpack-tour | Tour backpack 45 l | travel/backpacks | 189.00 | 0.43 | 0 | 30 | bottle-steel
bottle-steel | Steel bottle 0.7 l | travel/bottles | 29.00 | 0.5 | 0 | 7 | backpack-day
cat-bowl | Cat bowl stoneware | pets/cat | 16.00 | 0.5 | 0 | 5 | cat-food
bird-house | Bird house | pets/garden | 36.00 | 0.45 | 0 | 21 | bird-seed
"""  # noqa: E501 - a table
_SERVICES = """
repair-small | Repair, small appliance | services/repair | 39.00 | 0.5 | 0 | 14 | grinder-electric
repair-lamp | Repair, lamp | services/repair | 29.00 | 0.5 | 0 | 14 | lamp-desk
repair-backpack | Repair, backpack | services/repair | 35.00 | 0.5 | 0 | 14 | backpack-tour
sharpening | Knife sharpening, 3 knives | services/repair | 27.00 | 0.6 | 0 | 7 | knife-chef
course-barista | Barista course, half a day | services/courses | 89.00 | 0.55 | 0 | 30 | coffee-espresso grinder-electric
course-tea | Tea tasting evening | services/courses | 49.00 | 0.55 | 0 | 21 | tea-sencha teapot
course-knife | Cutting course | services/courses | 69.00 | 0.55 | 0 | 21 | knife-chef sharpening
gift-wrap | Gift wrapping | services/gifts | 3.90 | 0.7 | 0 | 1 |
"""  # noqa: E501 - a table
_SUBSCRIPTIONS = """
box-coffee | Coffee box, monthly | subscriptions/boxes | 24.90 | 0.4 | 0 | 30 | filter-paper
box-tea | Tea box, monthly | subscriptions/boxes | 19.90 | 0.45 | 0 | 30 | tea-filter
box-bath | Bath box, monthly | subscriptions/boxes | 22.90 | 0.48 | 0 | 30 | soap-dispenser
"""
_CARE = {
    "kitchen/grinders": "Brush the burrs once a month and keep water away from them.",
    "kitchen/kettles": "Descale every three months; rinse twice before the next pot.",
    "kitchen/knives": "Wash by hand, dry at once, and oil the wood twice a year.",
    "kitchen/brewing": "No soap for the inside: hot water is enough.",
    "kitchen/water": "Change the filter every month and keep the jug in the shade.",
    "living/lamps": "Dust with a dry cloth when the lamp is cold.",
    "living/textiles": "Air it instead of washing it; wool cleans itself in damp air.",
    "travel/backpacks": "Wax the seams once a year and never put it into the dryer.",
    "pantry/coffee": "Keep the bag closed, dark and at room temperature.",
    "pantry/tea": "Keep dry and away from spices.",
}


def _read(table: str, kind: str) -> list[Product]:
    products = []
    for row in table.strip().splitlines():
        cells = [cell.strip() for cell in row.split("|")]
        key, name, category, price, margin, supply, value, complements = cells
        products.append(
            Product(
                id=key,
                name=name,
                kind=kind,
                category=category,
                price=to_minor(price, CURRENCY),
                currency=CURRENCY,
                margin=float(margin),
                supply_days=float(supply),
                time_to_value_days=float(value),
                complements=tuple(complements.split()),
                url=f"https://lindenhof.example.com/p/{key}",
                care=_CARE.get(category, ""),
            )
        )
    return products


CONSUMABLES = tuple(_read(_CONSUMABLES, "consumable"))
DURABLES = tuple(_read(_DURABLES, "durable"))
SERVICES = tuple(_read(_SERVICES, "service"))
SUBSCRIPTIONS = tuple(_read(_SUBSCRIPTIONS, "subscription"))
PRODUCTS = {product.id: product for product in (*CONSUMABLES, *DURABLES, *SERVICES, *SUBSCRIPTIONS)}


def products_csv() -> str:
    """The catalogue as a merchant would hand it over; prices in euros, complements by blanks."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for product in PRODUCTS.values():
        told = {
            "product": product.id,
            "price": f"{product.price // 100}.{product.price % 100:02d}",
            "complements": " ".join(product.complements),
        }
        rows.writerow([told[name] if name in told else getattr(product, name) for name in COLUMNS])
    return text.getvalue()
