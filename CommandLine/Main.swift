import ArgumentParser
import Bytes
import Foundation

/// Runs the command that the arguments name, and ends the process with one of the exit codes that scripts may rely on.
@main
enum Main {
    static func main() async {
        do {
            var command = try Beamline.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch { end(error) }
    }

    /// The process's end after an error: help and versions are no errors, and wrong usage has its own code.
    private static func end(_ error: any Error) -> Never {
        if let error = error as? InputError {
            printError(error.description)
            Beamline.exit(withError: error.exitStatus)
        }
        let code = Beamline.exitCode(for: error)
        if code == .validationFailure {
            FileHandle.standardError.write(Data((Beamline.fullMessage(for: error) + "\n").utf8))
            Beamline.exit(withError: ExitStatus.usage)
        }
        if code == .success || error is ExitCode { Beamline.exit(withError: error) }
        printError("\(error)")
        Beamline.exit(withError: ExitStatus.rejected)
    }
}
