namespace Whatsit.Fuzz;

/// <summary>Something that must never happen happened.</summary>
internal sealed class ViolationException(string message, Exception? innerException = null) : Exception(message, innerException);
