namespace Whatsit.Inference;

/// <summary>Why a request could not be answered. Each member says what happened and whether trying again helps.</summary>
public enum InferenceError
{
    /// <summary>The request itself is wrong: a parameter, a shape, an encoding. Sending it again gives the same answer.</summary>
    InvalidRequest,

    /// <summary>The bytes claim to be a picture but are truncated or corrupt. Sending them again gives the same answer.</summary>
    InvalidImage,

    /// <summary>The bytes are no picture of a kind that the server reads (HEIC, SVG, PDF, text). Convert it first.</summary>
    UnsupportedImage,

    /// <summary>The file, or the picture that it would decode to, is larger than the configured limit. A smaller one is welcome.</summary>
    ImageTooLarge,

    /// <summary>The catalog has no model, version or variant of that name. Retrying helps only after it was added.</summary>
    ModelNotFound,

    /// <summary>The model is known but is still loading, or failed its self-test. Retrying may help.</summary>
    ModelNotReady,

    /// <summary>As many requests wait as the queue may hold. The request was not started; retrying later is safe.</summary>
    QueueFull,

    /// <summary>The answer did not come within the configured time; the work on it was given up. Retrying is safe.</summary>
    TimedOut,

    /// <summary>A picture's URL, or a remote model, could not be fetched or refused. Retrying may help.</summary>
    UpstreamFailed,

    /// <summary>The backend failed although the request was fine. The log has the cause; retrying may help.</summary>
    BackendFailed,
}
