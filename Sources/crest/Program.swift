internal import ArgumentParser

/// Parses the command line, runs the command, and turns what it throws into a message and an exit code.
enum Program {
    /// - Parameter arguments: without the program's name.
    /// - Returns: the exit code: 0 ok, 1 error, 2 usage, 3 unknown id, 4 auth, 5 unreachable.
    static func run(_ arguments: [String]) async -> Int32 {
        do {
            let command = try CrestCommand.parseAsRoot(movingLeadingServer(arguments))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                var command = command
                try command.run()
            }
            return 0
        } catch let failure as Failure {
            Output.note("crest: " + failure.message)
            return failure.exitCode
        } catch {
            return finish(error)
        }
    }

    /// Help and version are data; a command line the parser refused is 2, as everywhere in Crest.
    private static func finish(_ error: any Error) -> Int32 {
        let code = CrestCommand.exitCode(for: error)
        let text = CrestCommand.fullMessage(for: error)
        guard code != .success else {
            var output = Output()
            output.line(text)
            output.flush()
            return 0
        }
        Output.note(text)
        return code == .validationFailure ? 2 : 1
    }

    /// `crest --server URL search` means `crest search --server URL`: the option may stand in front.
    static func movingLeadingServer(_ arguments: [String]) -> [String] {
        guard let first = arguments.first else { return arguments }
        let words: Int
        if first.hasPrefix("--server=") {
            words = 1
        } else if first == "--server", arguments.count > 1 {
            words = 2
        } else {
            return arguments
        }
        let rest = Array(arguments.dropFirst(words))
        guard !rest.isEmpty else { return arguments }
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return Array(rest[..<end] + arguments.prefix(words) + rest[end...])
    }
}
