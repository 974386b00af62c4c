"""How does `python -m aftersale` start?"""

from aftersale.cli import main

if __name__ == "__main__":
    main()
