import Bytes
import CXrootd
import Cluster

/// The result of a call of the XRootD client: a CXR code, and its text, empty on success.
struct XrootdResult {
    var code: Int
    var text: String
}

/// Calls the XRootD client with memory for an error's text.
func xrootdResult(_ body: (UnsafeMutablePointer<CChar>, Int) -> Int32) -> XrootdResult {
    var code: Int32 = 0
    let text = withErrorText { code = body($0, $1) }
    return XrootdResult(code: Int(code), text: text.replacing("\n", with: " "))
}

/// The error of a call that failed at a site.
/// - Parameter what: what could not be done, as the beginning of a sentence.
func storageError(_ result: XrootdResult, _ what: String, _ url: String) -> InputError {
    let site = StorageURL(url).endpoint
    let text = Credentials.withoutSecrets(result.text)
    switch result.code {
    case Int(CXR_NOT_FOUND):
        return InputError(.missing, "\(what): the site \(site) has no such file (\(text))", file: url)
    case Int(CXR_DEADLINE):
        return InputError(.deadline, "\(what): the site \(site) did not answer in time (\(text))", file: url)
    case Int(CXR_DENIED):
        return InputError(
            .denied, "\(what): the site \(site) denied access (\(text))", file: url,
            hint: "A worker shows its token only to sites that the sites file names, and only over TLS.")
    case Int(CXR_UNSUPPORTED):
        return InputError(.unsupported, "\(what): the site \(site) does not do this (\(text))", file: url)
    case Int(CXR_NO_MEMORY): return InputError(.limit, "\(what): there is no memory for it", file: url)
    case Int(CXR_UNREACHABLE):
        return InputError(
            .unreachable, "\(what): the site \(site) cannot be reached (\(text))", file: url,
            hint: "Check the host and port, and that its server runs.")
    default: return InputError(.faulty, "\(what): the site \(site) answers with an error (\(text))", file: url)
    }
}
