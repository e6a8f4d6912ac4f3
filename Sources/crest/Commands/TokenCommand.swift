internal import ArgumentParser
internal import HostIO
internal import Telemetry

/// Makes access tokens. Needs no daemon.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make access tokens for crestd.",
        subcommands: [TokenNewCommand.self, TokenHashCommand.self])
}

/// What a token's line says besides its digest.
struct TokenOptions: ParsableArguments {
    @Option(help: "Who will use the token, for people.") var name: String
    @Option(help: "What it lets its bearer do: some of ingest,query,scrape,admin.") var scopes: String
    @Option(help: "Whose data it opens.") var tenant = BatchOrigin.defaultTenant

    func line(for token: String) throws(Failure) -> String {
        guard TokenFile.isName(name) else { throw .usage("--name: 1 to 64 letters, digits, '.', '_' or '-'") }
        guard TokenFile.isTenant(tenant) else { throw .usage("--tenant: 1 to 64 of a-z, 0-9, '_' or '-'") }
        guard let scopes = TokenFile.scopes(self.scopes) else {
            throw .usage("--scopes: some of ingest,query,scrape,admin, with commas between them")
        }
        let principal = Principal(name: name, tenant: tenant, scopes: scopes)
        return TokenFile.Entry(principal: principal, digest: AccessToken.digest(of: token)).line
    }
}

struct TokenNewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Make a token.",
        discussion: """
            The token goes to standard output and is stored nowhere; its line for the file of --tokens-file goes to \
            standard error, or is added to the file that --add-to names. Then send SIGHUP to crestd.

            EXAMPLES:
              crest token new --name checkout --scopes ingest --add-to tokens > checkout.token
            """)

    @OptionGroup var options: TokenOptions
    @Option(help: ArgumentHelp("The file to add the line to.", valueName: "file")) var addTo: String?

    func run() throws {
        var random = SystemRandomNumberGenerator()
        let token = AccessToken.text((0..<AccessToken.randomBytes).map { _ in random.next() })
        let line = try options.line(for: token)
        if let addTo {
            if let reason = HostProcess.append(line + "\n", toPrivateFile: addTo) {
                throw Failure.error("\(addTo): \(reason)")
            }
        } else {
            Output.note(line)
        }
        var output = Output()
        output.line(token)
        output.flush()
    }
}

struct TokenHashCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hash", abstract: "Print the line of a token that is read from standard input.")

    @OptionGroup var options: TokenOptions

    func run() throws {
        let token = String((readLine() ?? "").filter { !$0.isWhitespace })
        guard (16...AccessToken.longestBytes).contains(token.utf8.count) else {
            throw Failure.usage("a token of 16 to \(AccessToken.longestBytes) bytes is read from standard input")
        }
        let line = try options.line(for: token)
        var output = Output()
        output.line(line)
        output.flush()
    }
}
