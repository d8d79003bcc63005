import ArgumentParser
import Bytes
import Foundation

/// The exit codes that scripts may rely on; 0 is success.
enum ExitStatus {
    /// The job failed or was cancelled, or what was checked is not as it should be.
    static let jobFailed = ExitCode(1)
    /// Wrong usage: options, job files, files that cannot be read.
    static let usage = ExitCode(2)
    /// A server or a site could not be reached.
    static let unreachable = ExitCode(3)
    /// A server, or this machine, does not allow it or cannot do it.
    static let rejected = ExitCode(4)
}

func printError(_ text: String) {
    FileHandle.standardError.write(Data("beamline: \(text)\n".utf8))
}

extension InputError {
    var exitStatus: ExitCode {
        switch code {
        case .unreachable, .deadline: ExitStatus.unreachable
        case .input, .missing: ExitStatus.usage
        case .truncated, .badMagic, .badLength, .badChecksum, .corrupt, .unsupported, .limit, .faulty, .denied,
            .changed, .full:
            ExitStatus.rejected
        }
    }
}
