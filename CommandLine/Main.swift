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
            leave(.success)
        } catch { leave(end(error)) }
    }

    /// Ends the process without the destructors of libraries: threads of the XRootD client are still running, and would
    /// use what these destroy.
    private static func leave(_ code: ExitCode) -> Never {
        fflush(nil)
        _exit(code.rawValue)
    }

    /// Reports what went wrong, and gives the process's exit code: help and versions are no errors, and wrong usage has
    /// its own code.
    private static func end(_ error: any Error) -> ExitCode {
        if let error = error as? InputError {
            printError(error.description)
            return error.exitStatus
        }
        let code = Beamline.exitCode(for: error)
        if code == .validationFailure {
            FileHandle.standardError.write(Data((Beamline.fullMessage(for: error) + "\n").utf8))
            return ExitStatus.usage
        }
        if let code = error as? ExitCode { return code }
        if code == .success {
            print(Beamline.fullMessage(for: error))
            return .success
        }
        printError("\(error)")
        return ExitStatus.rejected
    }
}
