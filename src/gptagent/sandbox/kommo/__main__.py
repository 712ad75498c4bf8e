"""`python -m gptagent.sandbox.kommo --port N`"""

from gptagent.sandbox.kommo.app import KommoApp
from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.seed import Features
from gptagent.sandbox.serve import address_options, serve


def main() -> None:
    parser = address_options("A fake Kommo. The control interface is described in control.py.")
    parser.add_argument(
        "--account", action="append", default=[], metavar="SUBDOMAIN", help="open it at the start"
    )
    options = parser.parse_args()
    desk = Desk()
    for subdomain in options.account:
        desk.open_account(subdomain, subdomain, Features())
    serve(KommoApp(desk), options.host, options.port, around=desk)


if __name__ == "__main__":
    main()
